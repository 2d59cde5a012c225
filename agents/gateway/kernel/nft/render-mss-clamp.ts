/** @module TCP's largest segment, lowered in both directions to what a lane carries. */
import type { Firewall } from "@spanwire/core/desired/state";
import { type Chain, masked, match, meta, payload } from "./commands.ts";

/** The kernel's rewrite only ever lowers the option (nft_exthdr_tcp_set_eval), so no comparison is needed. */
export function renderMssClamp({ mssClamp, lanePrefix }: Firewall): Chain[] {
  if (mssClamp === undefined) return [];
  const rules = (["iifname", "oifname"] as const).flatMap((side) =>
    (["ipv4", "ipv6"] as const).map((family) => [
      match(meta(side), `${lanePrefix}*`),
      match(meta("nfproto"), family),
      match(masked(payload("tcp", "flags"), ["syn", "rst"]), "syn"),
      { mangle: { key: { "tcp option": { name: "maxseg", field: "size" } }, value: mssClamp[family] } },
    ]),
  );
  return [{ name: "mss-clamp", hook: { type: "filter", hook: "forward", prio: -150 }, rules }];
}
