/** @module Flows for the loss meter, between ends of a topology. */
import type { FlowSpec } from "../meter/meter.ts";
import type { Namespace } from "./namespace.ts";

export interface End {
  readonly namespace: Namespace;
  readonly address: string;
}

const RECEIVER_PORT = 9000;

/** Returns `count` flows of different source ports, which a router may send different ways. */
export function flowsBetween(from: End, to: End, { count, packetsPerSecond }: FlowRate): FlowSpec[] {
  const file = ({ namespace }: End) => `/run/netns/${namespace.name}`;
  return Array.from({ length: count }, (_, index) => ({
    from: { namespace: file(from), address: from.address, port: firstPort(to) + index },
    to: { namespace: file(to), address: to.address, port: RECEIVER_PORT },
    packetsPerSecond,
    bytes: 200,
  }));
}

export interface FlowRate {
  readonly count: number;
  readonly packetsPerSecond: number;
}

/** Senders of one address to several ends need ports of their own for each. */
function firstPort({ address }: End): number {
  const sum = [...address].reduce((total, letter) => (total * 31 + letter.charCodeAt(0)) % 400, 0);
  return 10_000 + 100 * sum;
}
