/** @module The real kernel: wires the three ports for one network namespace. */
import { release } from "node:os";
import { kernelFeatures } from "./features.ts";
import { runHere, runInNamespace } from "./namespace.ts";
import { type NetlinkConnection, openConnection, throwFailure } from "./netlink/connection.ts";
import { getCounter, readPackets } from "./netlink/counter-messages.ts";
import { getGeneration, readGeneration } from "./netlink/generation-message.ts";
import { createNetlinkNetwork } from "./netlink/network.ts";
import { PROTOCOL } from "./netlink/socket.ts";
import { watchKernel } from "./netlink/watch.ts";
import { createNetlinkWireGuard } from "./netlink/wireguard.ts";
import { TABLE } from "./nft/commands.ts";
import { createNftFirewall } from "./nft/firewall.ts";
import { DEFAULT_OWNERSHIP, type Ownership } from "./ownership.ts";
import type { Kernel } from "./port.ts";
import { createUapiWireGuard } from "./uapi/wireguard.ts";

export interface KernelOptions {
  readonly dataplane: Dataplane;
  readonly ownership?: Ownership;
  /** Path of another network namespace ("/run/netns/eu0") to work in. */
  readonly netns?: string;
}

/** Who does the encryption. In userspace each lane is a wireguard-go process and a tun device. */
export type Dataplane = { readonly kind: "kernel" } | { readonly kind: "userspace"; readonly wireguardGoPath: string };

/** Opens the sockets; throws a SpanwireError "kernel" when the system refuses them. Writes nothing. */
export function openKernel({ dataplane, ownership = DEFAULT_OWNERSHIP, netns }: KernelOptions): Kernel {
  using opened = new DisposableStack();
  const inNetns = netns === undefined ? {} : { netns };
  const run = netns === undefined ? runHere : <T>(action: () => T) => runInNamespace(netns, action);
  const open = (protocol: (typeof PROTOCOL)[keyof typeof PROTOCOL]) =>
    opened.use(openConnection({ protocol, ...inNetns }));
  const route = open(PROTOCOL.route);
  const netfilter = open(PROTOCOL.netfilter);
  const features = kernelFeatures(release());

  const network = createNetlinkNetwork({
    route,
    ownership,
    laneKind: dataplane.kind === "kernel" ? "wireguard" : "tun",
    watch: (signal) => watchKernel({ ownership, firewallTable: TABLE.table, ...inNetns }, signal),
  });
  const wireguard =
    dataplane.kind === "kernel"
      ? createNetlinkWireGuard({
          generic: open(PROTOCOL.generic),
          route,
          hasRemovalFlag: features.allowedIpRemoval,
        })
      : createUapiWireGuard({ wireguardGoPath: dataplane.wireguardGoPath, network, run });
  const firewall = createNftFirewall({
    readGeneration: () => readRulesetGeneration(netfilter),
    readCounter: (name) => readCounter(netfilter, name),
    run,
  });

  const sockets = opened.move();
  return { features, wireguard, network, firewall, [Symbol.asyncDispose]: async () => sockets.dispose() };
}

async function readRulesetGeneration(netfilter: NetlinkConnection): Promise<number> {
  let generation = 0;
  const failure = await netfilter.request(getGeneration(), (message, buffer) => {
    generation = readGeneration(message, buffer) ?? generation;
  });
  throwFailure("read the number of the nft ruleset", failure);
  return generation;
}

async function readCounter(netfilter: NetlinkConnection, name: string): Promise<number | undefined> {
  let packets: number | undefined;
  const failure = await netfilter.request(getCounter(TABLE.table, name), (message, buffer) => {
    packets ??= readPackets(message, buffer);
  });
  if (failure?.errno !== "ENOENT") throwFailure(`read counter ${name}`, failure);
  return packets;
}
