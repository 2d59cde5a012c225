/** @module The firewall model as the table `inet spanwire`: pure, same model, same bytes. */
import type { Firewall, KeptNetwork } from "@spanwire/core/desired/state";
import { accept, count, drop, masked, match, meta, type NamedSet, payload, prefix, type Ruleset } from "./commands.ts";
import { remotePrefixes } from "./remote-prefixes.ts";
import { renderFixedSource } from "./render-fixed-source.ts";
import { DENIED, ENTERED, PASSED, renderLinkPolicy } from "./render-link-policy.ts";
import { renderMssClamp } from "./render-mss-clamp.ts";

export const GUARD_OUT = "guard/out";
export const GUARD_IN = "guard/in";

export function renderFirewall(firewall: Firewall): Ruleset {
  const remote = remotePrefixes(firewall.remote);
  const policy = renderLinkPolicy(firewall.forward, remote);
  return {
    counters: [GUARD_OUT, GUARD_IN, ENTERED, PASSED, DENIED, ...policy.counters].sort(),
    sets: [...remoteSets(remote.prefixes), ...policy.sets],
    chains: [
      guardOut(firewall),
      guardIn(firewall),
      ...policy.chains,
      ...renderMssClamp(firewall),
      ...renderFixedSource(firewall),
    ],
  };
}

export const REMOTE_SETS = [
  { set: "@remote4", protocol: "ip" },
  { set: "@remote6", protocol: "ip6" },
] as const;

function remoteSets(remote: readonly string[]): NamedSet[] {
  const ipv6 = (text: string) => text.includes(":");
  return [
    { name: "remote4", type: "ipv4_addr", elements: remote.filter((text) => !ipv6(text)).map(prefix) },
    { name: "remote6", type: "ipv6_addr", elements: remote.filter(ipv6).map(prefix) },
  ];
}

/** Packets to a remote prefix leave by a lane or not at all: the last thing seen of them, after every translation. */
function guardOut({ lanePrefix, stableDevice, mark, kept }: Firewall) {
  return {
    name: "guard-out",
    hook: { type: "filter", hook: "postrouting", prio: 300 },
    rules: [
      [match(meta("oifname"), `${lanePrefix}*`), accept],
      [match(meta("oifname"), stableDevice), accept],
      [match(masked(meta("mark"), mark.mask), mark.mark), accept],
      ...REMOTE_SETS.map(({ set, protocol }) => [match(payload(protocol, "daddr"), set), count(GUARD_OUT), drop]),
      ...kept.map(leavesByItsDevices),
    ],
  } as const;
}

/** Loopback takes what the host sends to its own address there. */
function leavesByItsDevices({ prefix: text, devices }: KeptNetwork) {
  const daddr = payload(text.includes(":") ? "ip6" : "ip", "daddr");
  const elsewhere = match(meta("oifname"), { set: ["lo", ...devices] }, "!=");
  return [match(daddr, prefix(text)), elsewhere, count(GUARD_OUT), drop];
}

/** Packets from a remote prefix come by a lane or not at all: the first thing seen of them, before connection tracking. */
function guardIn({ lanePrefix, stableDevice }: Firewall) {
  return {
    name: "guard-in",
    hook: { type: "filter", hook: "prerouting", prio: -310 },
    rules: [
      [match(meta("iifname"), `${lanePrefix}*`), accept],
      ...[stableDevice, "lo"].map((device) => [match(meta("iifname"), device), accept]),
      ...REMOTE_SETS.map(({ set, protocol }) => [match(payload(protocol, "saddr"), set), count(GUARD_IN), drop]),
    ],
  } as const;
}
