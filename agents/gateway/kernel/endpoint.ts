/** @module Numeric endpoints: "192.0.2.1:51820" and "[2001:db8::1]:51820". */

import { isIP } from "node:net";
import { SpanwireError } from "@spanwire/core/errors";

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** Throws a SpanwireError `invalid` for anything else, a name for instance: names are resolved above this folder. */
export function parseEndpoint(text: string): Endpoint {
  const match = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+)):([0-9]{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? "";
  const port = Number(match?.[3]);
  const version = match?.[1] === undefined ? 4 : 6;
  if (isIP(host) !== version || port < 1 || port > 65_535) {
    throw new SpanwireError("invalid", `"${text}" is not a numeric endpoint: write it like 192.0.2.1:51820`);
  }
  return { host, port };
}

export function formatEndpoint({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
