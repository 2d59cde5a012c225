/** @module The contract of WireGuardPort. */
import { deepStrictEqual, ok, rejects, strictEqual } from "node:assert/strict";
import { randomSecret } from "@spanwire/runtime/crypto/random";
import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import type { WireGuardChange } from "../change.ts";
import type { ContractCase } from "../contract.ts";
import type { Kernel, ObservedPeer, ObservedWireGuard } from "../port.ts";

const X = generateWireGuardKey().publicKey;
const Y = generateWireGuardKey().publicKey;
const KEEPALIVE = { keepaliveSeconds: 20 } as const;

export const wireGuardContract: readonly ContractCase[] = [
  {
    name: "knows nothing of a device that is not there",
    run: async ({ wireguard }, { lanes: [lane] }) => {
      strictEqual(await wireguard.observe(lane), undefined);
      await rejects(wireguard.apply({ kind: "set-keepalive", device: lane, publicKey: X, keepaliveSeconds: 1 }), {
        code: "kernel",
        reason: "ENODEV",
      });
      await wireguard.apply({ kind: "remove-wireguard-link", name: lane });
    },
  },
  {
    name: "makes a device without a key, once, and removes it",
    run: async (kernel, { lanes: [lane] }) => {
      await addDevice(kernel, lane);
      await addDevice(kernel, lane);
      const device = await observe(kernel, lane);
      strictEqual(device.publicKey, undefined);
      deepStrictEqual(device.peers, []);
      strictEqual((await kernel.network.observe()).links.find(({ name }) => name === lane)?.mtuBytes, 1420);
      await kernel.wireguard.apply({ kind: "remove-wireguard-link", name: lane });
      strictEqual(await kernel.wireguard.observe(lane), undefined);
      deepStrictEqual((await kernel.network.observe()).links, []);
    },
  },
  {
    name: "does not take a device of another kind for its own",
    run: async ({ wireguard, network }, { lanes: [lane] }) => {
      await network.apply({ kind: "add-dummy-link", name: lane, mtuBytes: 1400 });
      strictEqual(await wireguard.observe(lane), undefined);
      const add = { kind: "add-wireguard-link", name: lane, mtuBytes: 1420 } as const;
      await rejects(wireguard.apply(add), { code: "kernel" });
      await network.apply({ kind: "remove-link", name: lane });
      await wireguard.apply(add);
    },
  },
  {
    name: "sets what is given and leaves the rest alone",
    run: async (kernel, { lanes: [device] }) => {
      const { privateKey, publicKey } = generateWireGuardKey();
      await addDevice(kernel, device);
      await kernel.wireguard.apply({ kind: "set-wireguard-device", device, privateKey });
      await kernel.wireguard.apply({ kind: "set-wireguard-device", device, listenPort: 51_999 });
      await kernel.wireguard.apply({ kind: "set-wireguard-device", device, fwmark: 0x1000 });
      await kernel.wireguard.apply({ kind: "set-wireguard-device", device, privateKey });
      const { listenPort, fwmark, ...rest } = await observe(kernel, device);
      deepStrictEqual([listenPort, fwmark, rest.publicKey], [51_999, 0x1000, publicKey]);
    },
  },
  {
    name: "reads a peer back as it was added, with IPv4 and IPv6",
    run: async (kernel, { lanes: [lane] }) => {
      await addDevice(kernel, lane);
      await addPeer(kernel, lane, {
        publicKey: X,
        presharedKey: randomSecret(32),
        endpoint: "[2001:db8::1]:51820",
        allowedIps: ["10.2.0.0/16", "198.18.0.64/26", "fd00:2::/64", "0.0.0.0/0"],
      });
      await addPeer(kernel, lane, { publicKey: Y, endpoint: "192.0.2.1:51821", allowedIps: [] });
      const peers = await peersOf(kernel, lane);
      deepStrictEqual(peers.get(X), {
        ...idlePeer(X),
        hasPresharedKey: true,
        endpoint: "[2001:db8::1]:51820",
        allowedIps: ["0.0.0.0/0", "10.2.0.0/16", "198.18.0.64/26", "fd00:2::/64"],
      });
      deepStrictEqual(peers.get(Y), { ...idlePeer(Y), endpoint: "192.0.2.1:51821" });
    },
  },
  {
    name: "moves an allowed IP to whoever is given it",
    run: async (kernel, { lanes: [lane, other] }) => {
      for (const name of [lane, other]) {
        await addDevice(kernel, name);
        await addPeer(kernel, name, { publicKey: X, allowedIps: ["10.2.0.0/16", "10.3.0.0/16"] });
      }
      await addPeer(kernel, lane, { publicKey: Y, allowedIps: ["10.2.0.0/16"] });
      deepStrictEqual(await allowedIps(kernel, lane), { [X]: ["10.3.0.0/16"], [Y]: ["10.2.0.0/16"] });
      await update(kernel, { kind: "add-allowed-ips", device: lane, publicKey: X, allowedIps: ["10.2.0.0/16"] });
      deepStrictEqual(await allowedIps(kernel, lane), { [X]: ["10.2.0.0/16", "10.3.0.0/16"], [Y]: [] });
      deepStrictEqual(await allowedIps(kernel, other), { [X]: ["10.2.0.0/16", "10.3.0.0/16"] });
    },
  },
  {
    name: "adds and removes single allowed IPs beside others",
    run: async (kernel, { lanes: [device] }) => {
      await addDevice(kernel, device);
      await addPeer(kernel, device, { publicKey: X, allowedIps: ["10.2.0.0/16", "fd00:2::/64"] });
      const change = { device, publicKey: X } as const;
      await update(kernel, { ...change, kind: "add-allowed-ips", allowedIps: ["10.4.0.0/16", "10.2.0.0/16"] });
      await update(kernel, { ...change, kind: "remove-allowed-ips", allowedIps: ["fd00:2::/64", "10.9.0.0/16"] });
      deepStrictEqual(await allowedIps(kernel, device), { [X]: ["10.2.0.0/16", "10.4.0.0/16"] });
    },
  },
  {
    name: "does not take from another peer what moved there",
    run: async (kernel, { lanes: [device] }) => {
      await addDevice(kernel, device);
      await addPeer(kernel, device, { publicKey: X, allowedIps: ["10.2.0.0/16"] });
      await addPeer(kernel, device, { publicKey: Y, allowedIps: ["10.2.0.0/16"] });
      await update(kernel, { kind: "remove-allowed-ips", device, publicKey: X, allowedIps: ["10.2.0.0/16"] });
      deepStrictEqual(await allowedIps(kernel, device), { [X]: [], [Y]: ["10.2.0.0/16"] });
    },
  },
  {
    name: "changes one property of a peer at a time",
    run: async (kernel, { lanes: [device] }) => {
      await addDevice(kernel, device);
      await addPeer(kernel, device, { publicKey: X, allowedIps: ["10.2.0.0/16"], presharedKey: randomSecret(32) });
      await update(kernel, { kind: "set-endpoint", device, publicKey: X, endpoint: "192.0.2.9:1000" });
      await update(kernel, { kind: "set-keepalive", device, publicKey: X, keepaliveSeconds: 5 });
      const set = { ...idlePeer(X), endpoint: "192.0.2.9:1000", keepaliveSeconds: 5, allowedIps: ["10.2.0.0/16"] };
      deepStrictEqual((await peersOf(kernel, device)).get(X), { ...set, hasPresharedKey: true });
      await update(kernel, { kind: "set-preshared-key", device, publicKey: X, presharedKey: undefined });
      deepStrictEqual((await peersOf(kernel, device)).get(X), set);
      await update(kernel, { kind: "set-preshared-key", device, publicKey: X, presharedKey: randomSecret(32) });
      deepStrictEqual((await peersOf(kernel, device)).get(X), { ...set, hasPresharedKey: true });
    },
  },
  {
    name: "updates of a peer that is gone succeed and make no peer",
    run: async (kernel, { lanes: [device] }) => {
      await addDevice(kernel, device);
      await addPeer(kernel, device, { publicKey: Y, allowedIps: ["10.2.0.0/16"] });
      const gone = { device, publicKey: X } as const;
      await update(kernel, { ...gone, kind: "set-endpoint", endpoint: "192.0.2.9:1000" });
      await update(kernel, { ...gone, kind: "set-keepalive", keepaliveSeconds: 5 });
      await update(kernel, { ...gone, kind: "add-allowed-ips", allowedIps: ["10.2.0.0/16", "10.3.0.0/16"] });
      await update(kernel, { ...gone, kind: "remove-allowed-ips", allowedIps: ["10.2.0.0/16"] });
      await update(kernel, { ...gone, kind: "remove-peer" });
      deepStrictEqual(await allowedIps(kernel, device), { [Y]: ["10.2.0.0/16"] });
    },
  },
  {
    name: "removes a peer and what it owned",
    run: async (kernel, { lanes: [device] }) => {
      await addDevice(kernel, device);
      await addPeer(kernel, device, { publicKey: X, allowedIps: ["10.2.0.0/16"] });
      await addPeer(kernel, device, { publicKey: Y, allowedIps: ["10.3.0.0/16"] });
      await update(kernel, { kind: "remove-peer", device, publicKey: X });
      deepStrictEqual(await allowedIps(kernel, device), { [Y]: ["10.3.0.0/16"] });
    },
  },
  {
    name: "nobody is a peer of itself",
    run: async (kernel, { lanes: [device] }) => {
      const { privateKey, publicKey } = generateWireGuardKey();
      await addDevice(kernel, device);
      await addPeer(kernel, device, { publicKey, allowedIps: ["10.2.0.0/16"] });
      await kernel.wireguard.apply({ kind: "set-wireguard-device", device, privateKey });
      deepStrictEqual(await allowedIps(kernel, device), {});
      await addPeer(kernel, device, { publicKey, allowedIps: ["10.2.0.0/16"] });
      deepStrictEqual(await allowedIps(kernel, device), {});
    },
  },
  {
    name: "holds more peers and prefixes than fit into one message",
    run: async (kernel, { lanes: [device] }) => {
      await addDevice(kernel, device);
      const many = Array.from({ length: 2000 }, (_, n) => `10.${n >> 8}.${n & 255}.0/24`).sort();
      const wanted = new Map<string, readonly string[]>([[X, many]]);
      for (let n = 0; n < 300; n++) {
        const publicKey = Buffer.from(n.toString(16).padStart(64, "a"), "hex").toString("base64");
        wanted.set(publicKey, [`172.16.${n >> 8}.${n & 255}/32`, `fd00:${n.toString(16)}::/64`.replace(":0::", "::")]);
      }
      for (const [publicKey, prefixes] of wanted) await addPeer(kernel, device, { publicKey, allowedIps: prefixes });
      const found = await allowedIps(kernel, device);
      deepStrictEqual(found, Object.fromEntries([...wanted].map(([key, prefixes]) => [key, [...prefixes].sort()])));
      await update(kernel, { kind: "remove-allowed-ips", device, publicKey: X, allowedIps: many.slice(0, 1999) });
      deepStrictEqual((await peersOf(kernel, device)).get(X)?.allowedIps, many.slice(1999));
    },
  },
  {
    name: "goes on with what is there: a device with peers is found again by name",
    run: async (kernel, { lanes: [device] }) => {
      await addDevice(kernel, device);
      await addPeer(kernel, device, { publicKey: X, allowedIps: ["10.2.0.0/16"] });
      await addDevice(kernel, device);
      deepStrictEqual(await allowedIps(kernel, device), { [X]: ["10.2.0.0/16"] });
    },
  },
];

type NewPeer = Omit<Extract<WireGuardChange, { kind: "add-peer" }>, "kind" | "device" | "keepaliveSeconds">;

async function addDevice(kernel: Kernel, name: string): Promise<void> {
  await kernel.wireguard.apply({ kind: "add-wireguard-link", name, mtuBytes: 1420 });
}

async function addPeer(kernel: Kernel, device: string, peer: NewPeer): Promise<void> {
  await kernel.wireguard.apply({ kind: "add-peer", device, ...KEEPALIVE, ...peer });
}

async function update(kernel: Kernel, change: WireGuardChange): Promise<void> {
  await kernel.wireguard.apply(change);
}

async function observe(kernel: Kernel, device: string): Promise<ObservedWireGuard> {
  const observed = await kernel.wireguard.observe(device);
  ok(observed, `device ${device} is there`);
  return observed;
}

async function peersOf(kernel: Kernel, device: string): Promise<Map<string, ObservedPeer>> {
  const { peers } = await observe(kernel, device);
  // A keepalive on a device that is up may have been sent already, or not.
  return new Map(peers.map((peer) => [peer.publicKey, { ...peer, txBytes: 0 }]));
}

async function allowedIps(kernel: Kernel, device: string): Promise<Record<string, readonly string[]>> {
  const { peers } = await observe(kernel, device);
  return Object.fromEntries(peers.map((peer) => [peer.publicKey, peer.allowedIps]));
}

function idlePeer(publicKey: string): ObservedPeer {
  return {
    publicKey,
    hasPresharedKey: false,
    endpoint: undefined,
    ...KEEPALIVE,
    lastHandshakeMs: undefined,
    rxBytes: 0,
    txBytes: 0,
    allowedIps: [],
  };
}
