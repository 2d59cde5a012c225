/** @module The contract of NetworkPort: what is watched, and what of the host is listed. */
import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { ContractCase } from "../contract.ts";
import { apply, prepare, replaceRoute, route, STABLE, TABLE } from "./network-changes.ts";

export const hostContract: readonly ContractCase[] = [
  {
    name: "wakes a watcher at once, then after a change, and lets it go",
    run: async (kernel, { stable }) => {
      const stop = new AbortController();
      const events = kernel.network.watch(stop.signal)[Symbol.asyncIterator]();
      strictEqual((await events.next()).done, false);
      await apply(kernel, { kind: "add-dummy-link", name: stable, mtuBytes: 1400 });
      strictEqual((await events.next()).done, false);
      stop.abort();
      let last = await events.next();
      while (last.done !== true) last = await events.next();
    },
  },
  {
    name: "lists neither our devices nor our routes as the host's",
    run: async (kernel, names) => {
      await prepare(kernel, names);
      await apply(
        kernel,
        replaceRoute(route("10.2.0.0/16", { kind: "device", device: names.lanes[0], source: STABLE })),
      );
      const host = await kernel.network.host();
      const ours = new Set([names.stable, ...names.lanes]);
      deepStrictEqual(
        host.addresses.filter(({ device }) => ours.has(device)),
        [],
      );
      deepStrictEqual(
        [...host.connected, ...host.routed].filter(({ device, table }) => ours.has(device) || table === TABLE),
        [],
      );
      deepStrictEqual(
        host.devices.filter(({ name }) => ours.has(name)),
        [],
      );
    },
  },
];
