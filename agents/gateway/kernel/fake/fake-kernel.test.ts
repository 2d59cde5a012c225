import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import { expect, test } from "vitest";
import { FakeKernel } from "./fake-kernel.ts";

test("prints what it holds in the words of ip and wg, without secrets", async () => {
  const kernel = new FakeKernel();
  const { privateKey } = generateWireGuardKey();
  const peer = { kind: "add-peer", device: "sw-a0", keepaliveSeconds: 20 } as const;
  kernel.byHand({ kind: "add-dummy-link", name: "sw0", mtuBytes: 1500 });
  kernel.byHand({ kind: "set-link", name: "sw0", up: true });
  kernel.byHand({ kind: "add-address", address: { device: "sw0", address: "198.18.0.1/32" } });
  kernel.byHand({ kind: "add-wireguard-link", name: "sw-a0", mtuBytes: 1420 });
  kernel.byHand({ kind: "set-settings", settings: { device: "sw-a0", rpFilter: 2, forwarding: true } });
  kernel.byHand({ kind: "set-wireguard-device", device: "sw-a0", privateKey, listenPort: 51820, fwmark: 0x1000 });
  kernel.byHand({ kind: "set-link", name: "sw-a0", up: true });
  kernel.byHand({ ...peer, publicKey: "X=", presharedKey: privateKey, allowedIps: ["10.2.0.0/16", "198.18.0.64/26"] });
  kernel.byHand({ ...peer, publicKey: "Y=", endpoint: "192.0.2.2:51820", allowedIps: ["10.2.0.0/16"] });
  kernel.byHand({ kind: "replace-nexthop", nexthop: { kind: "device", id: 1, family: "ipv4", device: "sw-a0" } });
  kernel.byHand({
    kind: "replace-nexthop",
    nexthop: { kind: "group", id: 9, members: [{ id: 1, weight: 1 }], resilientBuckets: 32 },
  });
  kernel.byHand({
    kind: "replace-route",
    route: {
      table: 5180,
      destination: "10.2.0.0/16",
      metric: 0,
      target: { kind: "nexthop", id: 9, source: "198.18.0.1" },
    },
  });
  kernel.byHand({
    kind: "replace-route",
    route: { table: 5180, destination: "10.2.0.0/16", metric: 4096, target: { kind: "blackhole" } },
  });

  const text = kernel.toString().replace(/public-key \S+/, "public-key [derived]");
  expect(text).toMatchInlineSnapshot(`
    "link sw-a0 wireguard mtu 1420 up
      rp_filter 2 forwarding 1
      listen-port 51820 fwmark 0x1000 public-key [derived]
      peer X= preshared-key [secret]
        endpoint (none) keepalive 20
        allowed-ips 198.18.0.64/26
      peer Y=
        endpoint 192.0.2.2:51820 keepalive 20
        allowed-ips 10.2.0.0/16
    link sw0 dummy mtu 1500 up
      address 198.18.0.1/32
      rp_filter 0 forwarding 0
    nexthop id 1 dev sw-a0 ipv4
    nexthop id 9 group 1 type resilient buckets 32
    route 10.2.0.0/16 nhid 9 src 198.18.0.1 table 5180
    route blackhole 10.2.0.0/16 table 5180 metric 4096
    "
  `);
  expect(kernel.writes).toBe(0);

  kernel.byHand({ kind: "remove-wireguard-link", name: "sw-a0" });
  expect(kernel.toString()).toMatchInlineSnapshot(`
    "link sw0 dummy mtu 1500 up
      address 198.18.0.1/32
      rp_filter 0 forwarding 0
    route blackhole 10.2.0.0/16 table 5180 metric 4096
    "
  `);
});

test("counts the writes that come through the ports, and refuses as it is told", async () => {
  const kernel = new FakeKernel();
  kernel.refuse = (change) => (change.kind === "add-dummy-link" ? "Operation not permitted" : undefined);
  await expect(kernel.network.apply({ kind: "add-dummy-link", name: "sw0", mtuBytes: 1500 })).rejects.toThrow(
    "add dummy link sw0 mtu 1500: Operation not permitted (EINVAL)",
  );
  expect(kernel.writes).toBe(1);
  expect(kernel.toString()).toBe("");
});
