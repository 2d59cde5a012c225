import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import { expect, test } from "vitest";
import { createTestNamespace } from "../contract/namespace.ts";
import { startUdpFlow } from "../contract/udp-flow.ts";
import { openKernel } from "../open-kernel.ts";

const LANE = "sw-a0";
const PORT = 51_820;

test("allowed IPs come and go beside traffic of the same peer, and no packet is lost", async () => {
  await using eu = await createEnd({ underlay: "192.0.2.1", plane: "198.18.0.17" });
  await using us = await createEnd({ underlay: "192.0.2.2", plane: "198.18.0.81" });
  await eu.namespace.exec(
    "ip",
    "link",
    "add",
    "eth0",
    "type",
    "veth",
    "peer",
    "name",
    "eth0",
    "netns",
    us.namespace.name,
  );
  await eu.begin(us);
  await us.begin(eu);
  await expect.poll(async () => (await eu.peer())?.lastHandshakeMs, { timeout: 60_000 }).toBeDefined();

  const flow = startUdpFlow({ ...eu, address: eu.plane }, { ...us, address: us.plane }, { port: 9000, fromPort: 9000 });
  for (let round = 0; round < 30; round++) {
    for (const [end, other] of [
      [eu, us],
      [us, eu],
    ] as const) {
      const hot = `${other.plane}/32`;
      const change = { device: LANE, publicKey: other.publicKey } as const;
      const { wireguard } = end.kernel;
      await wireguard.apply({
        ...change,
        kind: "add-allowed-ips",
        allowedIps: [`10.${round}.0.0/16`, hot, "fd00:2::/64"],
      });
      await wireguard.apply({
        ...change,
        kind: "remove-allowed-ips",
        allowedIps: [`10.${round}.0.0/16`, "fd00:2::/64"],
      });
    }
  }
  const { sent, received } = await flow.stop();
  expect((await eu.peer())?.allowedIps).toEqual([`${us.plane}/32`]);
  expect(sent).toBeGreaterThan(100);
  expect(received).toBe(sent);
});

interface Remote {
  readonly underlay: string;
  readonly plane: string;
  readonly publicKey: string;
}

async function createEnd({ underlay, plane }: { underlay: string; plane: string }) {
  const stack = new AsyncDisposableStack();
  const namespace = stack.use(await createTestNamespace());
  const kernel = stack.use(openKernel({ dataplane: { kind: "kernel" }, netns: namespace.path }));
  const { privateKey, publicKey } = generateWireGuardKey();
  const { wireguard, network } = kernel;
  await wireguard.apply({ kind: "add-wireguard-link", name: LANE, mtuBytes: 1420 });
  await wireguard.apply({ kind: "set-wireguard-device", device: LANE, privateKey, listenPort: PORT });
  await network.apply({ kind: "add-address", address: { device: LANE, address: `${plane}/32` } });
  return {
    namespace,
    kernel,
    underlay,
    plane,
    publicKey,

    async begin(other: Remote) {
      await namespace.exec("ip", "addr", "add", `${underlay}/24`, "dev", "eth0");
      await namespace.exec("ip", "link", "set", "eth0", "up");
      await network.apply({ kind: "set-link", name: LANE, up: true });
      await namespace.exec("ip", "route", "add", other.plane, "dev", LANE);
      await wireguard.apply({
        kind: "add-peer",
        device: LANE,
        publicKey: other.publicKey,
        endpoint: `${other.underlay}:${PORT}`,
        keepaliveSeconds: 1,
        allowedIps: [`${other.plane}/32`],
      });
    },

    peer: async () => (await wireguard.observe(LANE))?.peers[0],

    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
