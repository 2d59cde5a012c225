/** @module Prefixes that our own cluster announces, and this host knows no way to but out into the world. */
import { overlaps, parseCidr } from "../address/cidr.ts";
import type { Condition } from "./condition.ts";
import type { Context } from "./context.ts";

/**
 * A route to any part of a prefix is enough, and so is one to more than it: how a site reaches its own networks is its own
 * matter, and only that nobody has said anything is worth a word.
 */
export function ownPrefixConditions({ own, carried, connected, localRoutes, local }: Context): readonly Condition[] {
  const known = [...connected.map(({ cidr }) => cidr), ...localRoutes, ...local.loneAddresses.map(parseCidr)];
  const unknown = (own?.prefixes ?? []).filter((prefix) => !known.some((network) => overlaps(network, prefix)));
  return unknown.flatMap((prefix): Condition[] => {
    const ways = local.defaultRoutes.filter(({ network }) => parseCidr(network).family === prefix.family);
    if (ways.length === 0 || !carried.includes(prefix.family)) return [];
    const devices = ways.map(({ device }) => device || "several devices").join(", ");
    const message =
      `no route here leads to ${prefix.text} but the default one: what other clusters send there leaves this host by ` +
      `${devices}, in clear; if that is the way, say so: ip route add ${prefix.text} via ROUTER`;
    return [{ type: "OwnPrefixNotLocal", subject: `prefix ${prefix.text}`, message }];
  });
}
