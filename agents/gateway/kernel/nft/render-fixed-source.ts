/** @module Source translation to a fixed overlay address. Never masquerade: a plane flip would kill its connections. */
import type { Firewall } from "@spanwire/core/desired/state";
import { type Chain, match, payload, prefix } from "./commands.ts";

/** Without translations there is no chain, and so no connection tracking. */
export function renderFixedSource({ snat }: Firewall): Chain[] {
  if (snat.length === 0) return [];
  const rules = snat.map(({ source, destination, to }) => {
    const family = to.includes(":") ? "ip6" : "ip";
    return [
      match(payload(family, "saddr"), prefix(source)),
      match(payload(family, "daddr"), prefix(destination)),
      { snat: { family, addr: to } },
    ];
  });
  return [{ name: "fixed-source", hook: { type: "nat", hook: "postrouting", prio: 100 }, rules }];
}
