/**
 * @module A gateway with a LAN host, a remote host behind a lane, and an outside: real packets for the firewall's tests. The
 * lane is a veth of that name; the firewall sees no difference. Tests only.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Family } from "@spanwire/core/address/ip";
import {
  beginConnect,
  closeSocket,
  connectionOf,
  openListener,
  openUdp,
  receiveUdp,
  sendUdp,
  socketAddress,
} from "../../../../test/netns/sockets.ts";
import { createTestNamespace, type TestNamespace } from "../contract/namespace.ts";
import { type Host, startUdpFlow } from "../contract/udp-flow.ts";
import { runInNamespace } from "../namespace.ts";
import { openKernel } from "../open-kernel.ts";

/** Long enough for a packet between namespaces, short enough to wait for one that never comes. */
const PATIENCE_MS = 500;

interface Datagram {
  readonly port: number;
  readonly fromPort: number;
  readonly bytes?: number;
}

export type PacketLab = Awaited<ReturnType<typeof createPacketLab>>;

export async function createPacketLab(family: Family) {
  const stack = new AsyncDisposableStack();
  const make = async () => {
    const namespace = stack.use(await createTestNamespace());
    // Neighbours are asked from the link-local address, which duplicate address detection withholds for seconds.
    await namespace.exec("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0");
    return namespace;
  };
  const [lan, gate, far, world] = [await make(), await make(), await make(), await make()];
  const kernel = stack.use(openKernel({ dataplane: { kind: "kernel" }, netns: gate.path }));
  const flag = family === "ipv4" ? "-4" : "-6";
  const at = (ipv4: string, ipv6: string) => (family === "ipv4" ? ipv4 : ipv6);

  const local: Host = { namespace: lan, address: at("10.1.0.9", "fd00:1::9") };
  const remote: Host = { namespace: far, address: at("10.2.0.9", "fd00:2::9") };
  const outside: Host = { namespace: world, address: remote.address };
  const gateway: Host = { namespace: gate, address: at("10.1.0.1", "fd00:1::1") };

  await wire(gate, "lan", lan, [at("10.1.0.1/24", "fd00:1::1/64"), at("10.1.0.9/24", "fd00:1::9/64")]);
  await wire(gate, "sw-a0", far, [at("10.2.0.1/24", "fd00:2::1/64"), at("10.2.0.9/24", "fd00:2::9/64")]);
  await wire(gate, "out", world, [at("192.0.2.1/24", "2001:db8::1/64"), at("192.0.2.9/24", "2001:db8::9/64")]);
  await ip(lan, `${flag} route add default via ${gateway.address}`);
  await ip(far, `${flag} route add default via ${at("10.2.0.1", "fd00:2::1")}`);
  await ip(world, `${flag} route add default via ${at("192.0.2.1", "2001:db8::1")}`);
  await gate.exec(
    "sysctl",
    "-qw",
    "net.ipv4.ip_forward=1",
    "net.ipv6.conf.all.forwarding=1",
    "net.ipv4.conf.all.rp_filter=0",
  );

  function udp({ namespace, address }: Host, port: number): number {
    return runInNamespace(namespace.path, () => openUdp({ address, port }, 1 << 20));
  }

  async function received(fd: number): Promise<boolean> {
    const buffer = Buffer.alloc(65_536);
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += 5) {
      if (receiveUdp(fd, buffer) !== undefined) return true;
      await sleep(5);
    }
    return false;
  }

  function send(from: Host, to: Host, { port, fromPort, bytes = 100 }: Datagram): void {
    const fd = udp(from, fromPort);
    sendUdp(fd, Buffer.alloc(bytes), socketAddress({ address: to.address, port }));
    closeSocket(fd);
  }

  /** Runs `look` while a TCP connection from one host to another is there; undefined when it does not come about. */
  async function withConnection<T>(
    [from, to, port, fromPort]: readonly [Host, Host, number, number | undefined],
    look: () => Promise<T>,
  ): Promise<T | undefined> {
    const listener = runInNamespace(to.namespace.path, () => openListener({ address: to.address, port }));
    const client = runInNamespace(from.namespace.path, () =>
      beginConnect({ address: from.address, port: fromPort ?? 0 }, { address: to.address, port }),
    );
    try {
      for (let waitedMs = 0; connectionOf(client) === "pending" && waitedMs < PATIENCE_MS; waitedMs += 5)
        await sleep(5);
      return connectionOf(client) === "connected" ? await look() : undefined;
    } finally {
      closeSocket(client);
      closeSocket(listener);
    }
  }

  return {
    kernel,
    local,
    remote,
    outside,
    gateway,
    sendUdp: send,

    /** Whether a TCP connection comes about, and with `seenAs` whether it comes from that address. */
    async connects(from: Host, to: Host, port: number, options: { fromPort?: number; seenAs?: string } = {}) {
      const { fromPort, seenAs } = options;
      const peers = await withConnection([from, to, port, fromPort], () => to.namespace.exec("ss", "-tnH"));
      return peers !== undefined && (seenAs === undefined || peers.includes(seenAs));
    },

    /** The largest segment that each end sends. */
    async segmentBytes(from: Host, to: Host, port: number) {
      const sizes = await withConnection([from, to, port, undefined], async () => ({
        ofClient: largestSegment(await from.namespace.exec("ss", "-tniH")),
        ofServer: largestSegment(await to.namespace.exec("ss", "-tniH")),
      }));
      if (sizes === undefined) throw new Error("no connection");
      return sizes;
    },

    /** Whether a datagram arrives; `at` and `from` name another place that has the same address. */
    async delivers(source: Host, target: Host, options: Datagram & { at?: Host; from?: Host }) {
      const fd = udp(options.at ?? target, options.port);
      send({ ...source, namespace: (options.from ?? source).namespace }, target, options);
      const arrived = await received(fd);
      closeSocket(fd);
      return arrived;
    },

    async pings(from: Host, to: Host, options: readonly string[] = []) {
      const ping = ["-q", "-c", "1", "-W", "0.6", ...options, to.address];
      return from.namespace.exec("ping", ...ping).then(
        () => true,
        () => false,
      );
    },

    /** How many ICMP messages of a kind this host has received. */
    async heard({ namespace }: Host, what: "unreachables" | "pings"): Promise<number> {
      const kind = what === "pings" ? "InEchos" : "InDestUnreachs";
      const name = `${at("Icmp", "Icmp6")}${kind}`;
      const text = await namespace.exec("nstat", "-asz", name);
      return Number(new RegExp(`${name}\\s+(\\d+)`).exec(text)?.[1]);
    },

    startFlow: startUdpFlow,

    /** Another program on the gateway changes its firewall. */
    nft: (line: string) => gate.exec("nft", line),

    /** The remote prefix is routed to the outside, which has the remote host's address too. */
    async leadOutside() {
      await ip(world, `addr add ${remote.address}/${at("32", "128")} dev lo`);
      await ip(gate, "link del sw-a0");
      await ip(gate, `${flag} route add default via ${at("192.0.2.9", "2001:db8::9")}`);
    },

    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function wire(
  gate: TestNamespace,
  device: string,
  host: TestNamespace,
  [near, far]: readonly [string, string],
): Promise<void> {
  await ip(gate, `link add ${device} type veth peer name eth0 netns ${host.name}`);
  for (const [namespace, name, address] of [
    [gate, device, near],
    [host, "eth0", far],
  ] as const) {
    await ip(namespace, `addr add ${address} dev ${name}${address.includes(":") ? " nodad" : ""}`);
    await ip(namespace, `link set ${name} up`);
  }
}

async function ip(namespace: TestNamespace, line: string): Promise<void> {
  await namespace.exec("ip", ...line.split(" "));
}

function largestSegment(text: string): number {
  return Math.max(...[...text.matchAll(/\bmss:(\d+)/g)].map(([, mss]) => Number(mss)));
}
