/** @module The contract of FirewallPort. */
import { deepStrictEqual } from "node:assert/strict";
import type { Firewall } from "@spanwire/core/desired/state";
import type { ContractCase } from "../contract.ts";
import { firewallDigest } from "../nft/digest.ts";
import { SAMPLE as FULL } from "../nft/sample.ts";

const EMPTY: Firewall = { ...FULL, remote: [], kept: [], forward: [], snat: [], mssClamp: undefined };

export const firewallContract: readonly ContractCase[] = [
  {
    name: "is absent, then as written, then absent, each twice",
    run: async ({ firewall }) => {
      deepStrictEqual(await firewall.observe(), { kind: "absent" });
      for (const model of [FULL, FULL, EMPTY, FULL, EMPTY]) {
        await firewall.apply({ kind: "replace-firewall", firewall: model });
        deepStrictEqual(await firewall.observe(), { kind: "present", digest: firewallDigest(model) });
      }
      for (let times = 0; times < 2; times++) {
        await firewall.apply({ kind: "remove-firewall" });
        deepStrictEqual(await firewall.observe(), { kind: "absent" });
      }
      deepStrictEqual(await firewall.counters(), new Map());
    },
  },
  {
    name: "counts what is forwarded from the moment that it is there, and finds no other firewall on a fresh kernel",
    run: async ({ firewall }) => {
      deepStrictEqual(await firewall.forwarded(), undefined);
      deepStrictEqual(await firewall.foreignChains(), []);
      await firewall.apply({ kind: "replace-firewall", firewall: FULL });
      deepStrictEqual(await firewall.forwarded(), { entered: 0, denied: 0, passed: 0 });
      deepStrictEqual(await firewall.foreignChains(), []);
      await firewall.apply({ kind: "remove-firewall" });
      deepStrictEqual(await firewall.forwarded(), undefined);
    },
  },
  {
    name: "equal models have equal digests and others do not",
    run: async () => {
      deepStrictEqual(firewallDigest(FULL), firewallDigest(structuredClone(FULL)));
      const digests = [
        FULL,
        EMPTY,
        { ...FULL, remote: FULL.remote.slice(1) },
        { ...FULL, kept: [] },
        { ...FULL, mark: { mark: 0x2000, mask: 0x2000 } },
        { ...FULL, forward: FULL.forward.slice(1) },
        { ...FULL, mssClamp: { ipv4: 1379, ipv6: 1360 } },
      ].map(firewallDigest);
      deepStrictEqual(new Set(digests).size, digests.length);
    },
  },
];
