/**
 * @module Cases that hold a kernel against the tools of everybody else: what we write, `wg` and `ip` show; what they
 * write, we read.
 */
import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { randomSecret } from "@spanwire/runtime/crypto/random";
import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import type { ContractNames } from "../contract.ts";
import type { Kernel } from "../port.ts";
import type { TestNamespace } from "./namespace.ts";

export interface InteropCase {
  readonly name: string;
  run(kernel: Kernel, names: ContractNames, namespace: TestNamespace): Promise<void>;
}

const X = generateWireGuardKey().publicKey;
const Y = generateWireGuardKey().publicKey;

export const interopCases: readonly InteropCase[] = [
  {
    name: "wg shows what we wrote",
    run: async (kernel, { lanes: [device] }, namespace) => {
      const { privateKey, publicKey } = generateWireGuardKey();
      const presharedKey = randomSecret(32);
      const { wireguard } = kernel;
      await wireguard.apply({ kind: "add-wireguard-link", name: device, mtuBytes: 1420 });
      await wireguard.apply({ kind: "set-wireguard-device", device, privateKey, listenPort: 51_930, fwmark: 0x1000 });
      await wireguard.apply({
        kind: "add-peer",
        device,
        publicKey: X,
        presharedKey,
        endpoint: "[2001:db8::1]:51820",
        keepaliveSeconds: 20,
        allowedIps: ["10.2.0.0/16"],
      });
      await wireguard.apply({
        kind: "add-allowed-ips",
        device,
        publicKey: X,
        allowedIps: ["fd00:2::/64", "10.3.0.0/16"],
      });
      await wireguard.apply({ kind: "remove-allowed-ips", device, publicKey: X, allowedIps: ["10.3.0.0/16"] });
      const [own = "", peer = ""] = (await namespace.exec("wg", "show", device, "dump")).trim().split("\n");
      const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
      deepStrictEqual(own.split("\t"), [base64(privateKey.reveal()), publicKey, "51930", "0x1000"]);
      const [key, psk, endpoint, allowedIps = "", , , , keepalive] = peer.split("\t");
      deepStrictEqual([key, psk, endpoint, keepalive], [X, base64(presharedKey.reveal()), "[2001:db8::1]:51820", "20"]);
      deepStrictEqual(allowedIps.split(",").sort(), ["10.2.0.0/16", "fd00:2::/64"]);
    },
  },
  {
    name: "we read what wg wrote",
    run: async ({ wireguard }, { lanes: [device] }, namespace) => {
      await wireguard.apply({ kind: "add-wireguard-link", name: device, mtuBytes: 1420 });
      const keyFile = `/tmp/${namespace.name}.psk`;
      await writeFile(keyFile, Buffer.from(randomSecret(32).reveal()).toString("base64"), { mode: 0o600 });
      await namespace.exec("wg", "set", device, "listen-port", "51931", "fwmark", "0x2000");
      const options = ["preshared-key", keyFile, "endpoint", "192.0.2.7:7", "persistent-keepalive", "3"];
      await namespace.exec("wg", "set", device, "peer", X, ...options, "allowed-ips", "10.2.0.0/16,fd00:2::/64");
      await namespace.exec("wg", "set", device, "peer", Y, "allowed-ips", "fd00:2::/64");
      await namespace.exec("rm", keyFile);
      const observed = await wireguard.observe(device);
      ok(observed);
      deepStrictEqual([observed.listenPort, observed.fwmark, observed.publicKey], [51_931, 0x2000, undefined]);
      const peers = new Map(observed.peers.map((peer) => [peer.publicKey, peer]));
      deepStrictEqual(
        [
          peers.get(X)?.hasPresharedKey,
          peers.get(X)?.endpoint,
          peers.get(X)?.keepaliveSeconds,
          peers.get(X)?.allowedIps,
        ],
        [true, "192.0.2.7:7", 3, ["10.2.0.0/16"]],
      );
      deepStrictEqual([peers.get(Y)?.hasPresharedKey, peers.get(Y)?.allowedIps], [false, ["fd00:2::/64"]]);
    },
  },
  {
    name: "ip shows what we wrote",
    run: async ({ network, wireguard }, { stable, lanes: [lane] }, { exec }) => {
      await network.apply({ kind: "add-dummy-link", name: stable, mtuBytes: 1400 });
      await network.apply({ kind: "set-link", name: stable, up: true });
      await network.apply({ kind: "add-address", address: { device: stable, address: "198.18.0.1/32" } });
      await wireguard.apply({ kind: "add-wireguard-link", name: lane, mtuBytes: 1420 });
      await network.apply({ kind: "set-settings", settings: { device: lane, rpFilter: 2, forwarding: true } });
      await network.apply({ kind: "set-link", name: lane, up: true });
      const device = { kind: "device", id: 518_000_100, family: "ipv4", device: lane } as const;
      await network.apply({ kind: "replace-nexthop", nexthop: device });
      const members = [{ id: device.id, weight: 1 }];
      await network.apply({
        kind: "replace-nexthop",
        nexthop: { kind: "group", id: 518_000_140, members, resilientBuckets: 32 },
      });
      const route = { table: 5180, destination: "10.2.0.0/16" };
      const target = { kind: "nexthop", id: 518_000_140, source: "198.18.0.1" } as const;
      await network.apply({ kind: "replace-route", route: { ...route, metric: 0, target } });
      await network.apply({ kind: "replace-route", route: { ...route, metric: 4096, target: { kind: "blackhole" } } });
      const notFwmark = { mark: 0x1000, mask: 0x1000 };
      await network.apply({ kind: "add-rule", rule: { family: "ipv4", priority: 5180, notFwmark, table: 5180 } });

      match(await exec("ip", "addr", "show", "dev", stable), /mtu 1400[\s\S]*inet 198\.18\.0\.1\/32 scope global/);
      strictEqual((await exec("sysctl", "-n", `net.ipv4.conf.${lane}.rp_filter`)).trim(), "2");
      strictEqual((await exec("sysctl", "-n", `net.ipv4.conf.${lane}.forwarding`)).trim(), "1");
      match(await exec("ip", "nexthop"), /id 518000140 group 518000100 type resilient buckets 32 /);
      const routes = await exec("ip", "route", "show", "table", "5180");
      match(routes, new RegExp(`10\\.2\\.0\\.0/16 nhid 518000140 dev ${lane} proto 151 src 198\\.18\\.0\\.1`));
      match(routes, /blackhole 10\.2\.0\.0\/16 proto 151 metric 4096/);
      match(await exec("ip", "rule"), /5180:\tnot from all fwmark 0x1000\/0x1000 lookup 5180/);
      match(await exec("ip", "route", "get", "10.2.3.4"), new RegExp(`10\\.2\\.3\\.4 dev ${lane} table 5180 src 198`));
    },
  },
  {
    name: "we read what ip wrote, and only what is ours",
    run: async ({ network }, { stable }, { exec }) => {
      const ip = (line: string) => exec("ip", ...line.split(" "));
      await ip(`link add ${stable} type bridge`);
      await ip("link add lan type veth peer name wan");
      for (const device of [stable, "lan", "wan"]) await ip(`link set ${device} up`);
      await ip("addr add 10.1.0.1/24 dev lan");
      await ip("addr add 2001:db8::1/64 dev wan nodad");
      await ip(`addr add 198.18.0.1/32 dev ${stable}`);
      await ip("route add default via 10.1.0.254 dev lan");
      await ip("route add 10.9.0.0/16 dev wan");
      await ip("nexthop add id 7 dev lan");
      await ip("nexthop add id 518000100 via 10.1.0.254 dev lan");
      await ip("route add unreachable 10.5.0.0/16 table 5180");
      await ip("route add 10.6.0.0/16 via 10.1.0.254 table 5180");
      await ip("rule add from 10.7.0.0/16 lookup 5180 pref 99");
      await ip("rule add not fwmark 0x2000/0x2000 lookup 5180 pref 98");
      const observed = await network.observe();
      deepStrictEqual(
        observed.links.map(({ name, kind }) => [name, kind]),
        [[stable, "dummy"]],
      );
      deepStrictEqual(observed.addresses, [{ device: stable, address: "198.18.0.1/32" }]);
      deepStrictEqual(observed.nexthops, [{ kind: "other", id: 518_000_100 }]);
      deepStrictEqual(
        observed.routes.map(({ destination, target }) => [destination, target]),
        [
          ["10.5.0.0/16", { kind: "other", type: 7 }],
          ["10.6.0.0/16", { kind: "other", type: 1 }],
        ],
      );
      const foreignMark = { family: "ipv4", priority: 98, notFwmark: { mark: 0x2000, mask: 0x2000 }, table: 5180 };
      deepStrictEqual(observed.rules, [foreignMark]);
      for (const route of observed.routes) await network.apply({ kind: "remove-route", route });
      await network.apply({ kind: "remove-nexthop", id: 518_000_100 });
      for (const rule of observed.rules) await network.apply({ kind: "remove-rule", rule });
      const { routes, nexthops, rules } = await network.observe();
      deepStrictEqual([routes, nexthops, rules], [[], [], []]);
      match(await ip("rule"), /from 10\.7\.0\.0\/16 lookup 5180/);
      match(await ip("nexthop"), /id 7 dev lan/);

      const host = await network.host();
      deepStrictEqual(
        host.addresses.filter(({ device }) => device !== "lo"),
        [
          { device: "lan", address: "10.1.0.1/24" },
          { device: "wan", address: "2001:db8::1/64" },
        ],
      );
      deepStrictEqual(
        host.connected.filter(({ device }) => device !== "lo"),
        [
          { device: "lan", destination: "10.1.0.0/24", table: 254 },
          { device: "wan", destination: "10.9.0.0/16", table: 254 },
          { device: "wan", destination: "2001:db8::/64", table: 254 },
        ],
      );
    },
  },
];
