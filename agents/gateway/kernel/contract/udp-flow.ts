/** @module A flow of small UDP packets between two namespaces, counted at both ends. Tests only. */
import { setTimeout as sleep } from "node:timers/promises";
import { closeSocket, openUdp, receiveUdp, sendUdp, socketAddress } from "../../../../test/netns/sockets.ts";
import { runInNamespace } from "../namespace.ts";
import type { TestNamespace } from "./namespace.ts";

export interface Host {
  readonly namespace: TestNamespace;
  readonly address: string;
}

export interface UdpFlow {
  /** Ends the flow and counts; what is still on its way is waited for. */
  stop(): Promise<{ readonly sent: number; readonly received: number }>;
}

const BUFFER_BYTES = 1 << 20;
const LAST_PACKETS_MS = 250;

/** Sends three packets every two milliseconds until it is stopped. */
export function startUdpFlow(
  from: Host,
  to: Host,
  ports: { readonly port: number; readonly fromPort: number },
): UdpFlow {
  const open = ({ namespace, address }: Host, port: number) =>
    runInNamespace(namespace.path, () => openUdp({ address, port }, BUFFER_BYTES));
  const sender = open(from, ports.fromPort);
  const receiver = open(to, ports.port);
  const target = socketAddress({ address: to.address, port: ports.port });
  const buffer = Buffer.alloc(2048);
  let sent = 0;
  let received = 0;
  const drain = () => {
    while (receiveUdp(receiver, buffer) !== undefined) received += 1;
  };
  const timer = setInterval(() => {
    for (let burst = 0; burst < 3; burst++) if (sendUdp(sender, Buffer.alloc(64), target) === 0) sent += 1;
    drain();
  }, 2);
  return {
    stop: async () => {
      clearInterval(timer);
      await sleep(LAST_PACKETS_MS);
      drain();
      closeSocket(sender);
      closeSocket(receiver);
      return { sent, received };
    },
  };
}
