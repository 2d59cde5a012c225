/** @module Gateways as people type them: "eu/1". */
import { InvalidArgumentError } from "commander";
import { parseOrdinal } from "./ordinal.ts";

export interface GatewayName {
  readonly clusterId: string;
  readonly ordinal: number;
}

/** For a command-line option or argument. */
export function parseGateway(text: string): GatewayName {
  const [, clusterId, ordinal] = /^([a-z0-9-]+)\/(\d+)$/.exec(text) ?? [];
  if (clusterId === undefined || ordinal === undefined)
    throw new InvalidArgumentError('a gateway reads as in "eu/0": cluster and ordinal');
  return { clusterId, ordinal: parseOrdinal(ordinal) };
}
