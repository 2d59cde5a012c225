/** @module Ranges that no cluster may announce, each with the reason a person is told. */
import { type Cidr, overlaps, parseCidr } from "./cidr.ts";
import type { OverlayRange } from "./overlay.ts";

const RESERVED: readonly { readonly range: Cidr; readonly why: string }[] = [
  ["0.0.0.0/8", 'it means "this network" (RFC 1122)'],
  ["127.0.0.0/8", "it is loopback: every host keeps it to itself"],
  ["169.254.0.0/16", "it is link-local: it never leaves its wire, and clouds serve credentials there"],
  ["224.0.0.0/4", "it is multicast: WireGuard carries unicast only"],
  ["240.0.0.0/4", "it is reserved for future use, and 255.255.255.255 is broadcast"],
  ["::/96", "it holds the unspecified address, loopback and IPv4-compatible addresses"],
  ["::ffff:0:0/96", "it is IPv4 in disguise: announce the IPv4 prefix"],
  ["fe80::/10", "it is link-local: it never leaves its wire"],
  ["ff00::/8", "it is multicast: WireGuard carries unicast only"],
].map(([range = "", why = ""]) => ({ range: parseCidr(range), why }));

/** Says why `prefix` may not be announced in a mesh with this overlay; undefined when it may. */
export function findReservation(prefix: Cidr, overlay: OverlayRange): string | undefined {
  if (prefix.bits === 0) return "it is the default route: it would take the host's own traffic into the mesh";
  const met = overlay[prefix.family];
  if (overlaps(met, prefix)) return `it meets ${met.text}, the mesh's own range`;
  return RESERVED.find(({ range }) => overlaps(range, prefix))?.why;
}
