/** @module The contract of NetworkPort: links and addresses. */
import { deepStrictEqual, rejects, strictEqual } from "node:assert/strict";
import type { NetworkChange } from "../change.ts";
import type { ContractCase } from "../contract.ts";
import { apply, G1, replaceNexthop, STABLE, STABLE_IPV6 } from "./network-changes.ts";

export const linkContract: readonly ContractCase[] = [
  {
    name: "begins with nothing of ours",
    run: async ({ network }) => {
      const nothing = { links: [], settings: [], addresses: [], nexthops: [], routes: [], rules: [] };
      deepStrictEqual(await network.observe(), nothing);
    },
  },
  {
    name: "makes the stable device and its addresses, twice without effect, and removes them",
    run: async (kernel, { stable }) => {
      const steps: NetworkChange[] = [
        { kind: "add-dummy-link", name: stable, mtuBytes: 1400 },
        { kind: "set-link", name: stable, up: true },
        { kind: "add-address", address: { device: stable, address: `${STABLE}/32` } },
        { kind: "add-address", address: { device: stable, address: `${STABLE_IPV6}/128` } },
      ];
      await apply(kernel, ...steps, ...steps);
      const { links, addresses } = await kernel.network.observe();
      deepStrictEqual(links, [{ kind: "dummy", name: stable, mtuBytes: 1400, up: true }]);
      deepStrictEqual(addresses, [
        { device: stable, address: `${STABLE}/32` },
        { device: stable, address: `${STABLE_IPV6}/128` },
      ]);
      const removal: NetworkChange[] = [
        { kind: "remove-address", address: { device: stable, address: `${STABLE}/32` } },
        { kind: "remove-link", name: stable },
      ];
      await apply(kernel, ...removal, ...removal);
      deepStrictEqual((await kernel.network.observe()).links, []);
    },
  },
  {
    name: "sets MTU, state and the IPv4 settings of a device, each alone",
    run: async (kernel, { stable }) => {
      await apply(
        kernel,
        { kind: "add-dummy-link", name: stable, mtuBytes: 1400 },
        { kind: "set-settings", settings: { device: stable, rpFilter: 2, forwarding: true } },
        { kind: "set-link", name: stable, mtuBytes: 1300 },
        { kind: "set-link", name: stable, up: true },
      );
      const { links, settings } = await kernel.network.observe();
      deepStrictEqual(links, [{ kind: "dummy", name: stable, mtuBytes: 1300, up: true }]);
      deepStrictEqual(settings, [{ device: stable, rpFilter: 2, forwarding: true }]);
      await apply(
        kernel,
        { kind: "set-settings", settings: { device: stable, rpFilter: 1, forwarding: false } },
        { kind: "set-link", name: stable, up: false },
      );
      const changed = await kernel.network.observe();
      strictEqual(changed.links[0]?.up, false);
      deepStrictEqual(changed.settings, [{ device: stable, rpFilter: 1, forwarding: false }]);
    },
  },
  {
    name: "says which device is missing",
    run: async ({ network }, { stable }) => {
      const missing = { code: "kernel", reason: "ENODEV" };
      await rejects(network.apply({ kind: "set-link", name: stable, up: true }), missing);
      await rejects(
        network.apply({ kind: "add-address", address: { device: stable, address: "198.18.0.1/32" } }),
        missing,
      );
      await rejects(network.apply(replaceNexthop({ kind: "device", id: G1, family: "ipv4", device: stable })), missing);
      await network.apply({ kind: "remove-link", name: stable });
      await network.apply({ kind: "remove-address", address: { device: stable, address: "198.18.0.1/32" } });
    },
  },
];
