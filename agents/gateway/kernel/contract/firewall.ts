/** @module The contract of FirewallPort. */
import { deepStrictEqual } from "node:assert/strict";
import type { Firewall } from "@spanwire/core/desired/state";
import type { ContractCase } from "../contract.ts";
import { firewallDigest } from "../nft/digest.ts";

const FULL: Firewall = {
  remote: ["10.2.0.0/16", "10.2.3.0/24", "198.18.0.64/26", "198.18.0.130/32", "fd00:2::/64", "fd00:3::7/128"],
  lanePrefix: "sw-",
  stableDevice: "sw0",
  mark: { mark: 0x1000, mask: 0x1000 },
  forward: [
    rule({ direction: "out", protocol: "any", ports: [] }),
    rule({ direction: "in", source: "10.2.0.0/16", destination: "10.1.0.0/16", protocol: "icmp", ports: [] }),
    rule({ direction: "out", protocol: "udp", ports: [] }),
    rule({ direction: "out", destination: "198.18.0.130/32", protocol: "tcp", ports: [{ first: 443, last: 443 }] }),
    rule({
      link: "eu~plant",
      direction: "through",
      source: "fd00:3::7/128",
      destination: "fd00:2::/64",
      protocol: "udp",
      ports: [
        { first: 53, last: 53 },
        { first: 9000, last: 9100 },
      ],
    }),
    rule({ link: "eu~plant", direction: "in", source: "fd00:3::7/128", destination: "fd00:1::/64", protocol: "icmp" }),
  ],
  snat: [
    { source: "10.1.0.0/16", destination: "10.2.0.0/16", to: "198.18.0.48" },
    { source: "fd00:1::/64", destination: "fd00:2::/64", to: "fd00::30" },
  ],
  mssClamp: { ipv4: 1380, ipv6: 1360 },
};

const EMPTY: Firewall = { ...FULL, remote: [], forward: [], snat: [], mssClamp: undefined };

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
        { ...FULL, mark: { mark: 0x2000, mask: 0x2000 } },
        { ...FULL, forward: FULL.forward.slice(1) },
        { ...FULL, mssClamp: { ipv4: 1379, ipv6: 1360 } },
      ].map(firewallDigest);
      deepStrictEqual(new Set(digests).size, digests.length);
    },
  },
];

function rule(given: Partial<Firewall["forward"][number]>): Firewall["forward"][number] {
  return {
    link: "eu~us",
    direction: "out",
    source: "10.1.0.0/16",
    destination: "10.2.0.0/16",
    protocol: "any",
    ports: [],
    ...given,
  };
}
