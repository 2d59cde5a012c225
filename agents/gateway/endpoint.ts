/** @module Endpoints as an operator writes them. */
import { findHost } from "@spanwire/core/address/host";

export interface WrittenEndpoint {
  readonly host: string;
  readonly basePort: number;
}

/** Reads "192.0.2.1", "gw.example:51900", "2001:db8::1" or "[2001:db8::1]:51900"; undefined for anything else. */
export function findEndpoint(text: string, defaultPort: number): WrittenEndpoint | undefined {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^[\]]*?))(?::(\d{1,5}))?$/.exec(text) ?? [];
  // An IPv6 address without brackets ends in what looks like a port.
  if (findHost(text) !== undefined) return { host: text, basePort: defaultPort };
  const host = bracketed ?? plain ?? "";
  const basePort = port === undefined ? defaultPort : Number(port);
  if (findHost(host) === undefined || (bracketed === undefined) === host.includes(":")) return undefined;
  return basePort >= 1 && basePort <= 65_535 ? { host, basePort } : undefined;
}
