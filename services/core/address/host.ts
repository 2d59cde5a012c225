/** @module What may stand where an endpoint names a host: an IP address or a DNS name. */
import { formatIp, type IpAddress, readIp } from "./ip.ts";

export type Host = { readonly kind: "ip"; readonly ip: IpAddress } | { readonly kind: "name"; readonly name: string };

const NAME = /^(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i;
/** A resolver reads "10.1", "1234" and "0x7f000001" as addresses: what ends in such a part is not a name. */
const NUMERIC_END = /(^|\.)(0x[0-9a-f]*|[0-9]+)$/i;

export function findHost(text: string): Host | undefined {
  const read = readIp(text);
  if (read.ok) return { kind: "ip", ip: read.ip };
  return NAME.test(text) && !NUMERIC_END.test(text) ? { kind: "name", name: text.toLowerCase() } : undefined;
}

/** "192.0.2.1:51820", "[2001:db8::1]:51820" or "host.example:51820". */
export function formatHostPort(host: Host, port: number): string {
  if (host.kind === "name") return `${host.name}:${port}`;
  const ip = formatIp(host.ip);
  return [host.ip.family === "ipv6" ? `[${ip}]` : ip, port].join(":");
}
