/** @module Counts inner packets that gateways send to the underlay in clear, where they arrive: nothing can hide from it. */
import type { GatewayMachine, Topology } from "./topology.ts";

export interface ClearTextWatch {
  /** Packets so far, by family. */
  count(): Promise<{ readonly ipv4: number; readonly ipv6: number }>;
}

/** Counts from now on what comes from the gateways with a source or destination in any site's prefix. */
export async function watchClearText(topology: Topology, gateways: readonly GatewayMachine[]): Promise<ClearTextWatch> {
  const chains = gateways.map(
    ({ name }) => `
  chain ${name} {
    type filter hook ingress device "${name}" priority 0
    ip saddr 10.0.0.0/8 ip daddr 10.0.0.0/8 counter
    ip6 saddr fd10::/16 ip6 daddr fd10::/16 counter
  }`,
  );
  await topology.internet.sh(`nft -f - <<'END'\ntable netdev clear {${chains.join("")}\n}\nEND`);
  return {
    async count() {
      const rules = (await topology.internet.sh("nft list table netdev clear")).split("\n");
      const packets = (family: string) =>
        rules
          .filter((rule) => rule.trim().startsWith(family))
          .reduce((sum, rule) => sum + Number(/packets (\d+)/.exec(rule)?.[1] ?? 0), 0);
      return { ipv4: packets("ip saddr"), ipv6: packets("ip6 saddr") };
    },
  };
}
