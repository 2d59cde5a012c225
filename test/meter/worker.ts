/**
 * @module The meter's thread: sends and receives all flows, one loop, and answers marks and accounts.
 *
 * One thread for all namespaces, because a socket stays in the namespace in which it was opened; a thread of its own,
 * so that what a test does meanwhile does not delay packets.
 */
import { parentPort, workerData } from "node:worker_threads";

import { withinNamespace } from "../netns/namespace.ts";
import {
  closeSocket,
  dropsOf,
  openUdp,
  receiveUdp,
  type SocketAddress,
  sendUdp,
  socketAddress,
} from "../netns/sockets.ts";
import { type FlowAccount, FlowLog } from "./flow-log.ts";
import type { FlowSpec } from "./meter.ts";

export type Request =
  | { readonly kind: "mark" }
  | { readonly kind: "account"; readonly from: readonly number[]; readonly to: readonly number[] }
  | { readonly kind: "stop" };

export type Reply =
  | { readonly kind: "ready" }
  | { readonly kind: "failed"; readonly message: string }
  /** The longest pause of the loop since the last mark. */
  | { readonly kind: "mark"; readonly next: readonly number[]; readonly drops: number; readonly worstStallMs: number }
  | { readonly kind: "account"; readonly flows: readonly FlowAccount[]; readonly drops: number }
  | { readonly kind: "stop" };

interface Flow {
  readonly log: FlowLog;
  readonly fd: number;
  readonly to: SocketAddress;
  readonly packet: Buffer;
  readonly intervalMs: number;
  dueMs: number;
}

const MAGIC = 0x53574d31;
const HEADER_BYTES = 12;
const TICK_MS = 4;
/** What a longer pause missed is not sent at all: a burst would overflow queues that the flows never fill. */
const CATCH_UP_MS = 100;

const { specs, receiveBufferBytes }: { specs: readonly FlowSpec[]; receiveBufferBytes: number } = workerData;
const port = parentPort;
if (port === null) throw new Error("the meter's worker is not a program of its own");

const start = performance.now();
/** By namespace, address and port: flows to one place share a socket, and with it the calls that ask it for packets. */
const receivers = new Map<string, number>();
const flows: Flow[] = [];
try {
  for (const [index, spec] of specs.entries()) flows.push(openFlow(spec, index));
  port.postMessage({ kind: "ready" } satisfies Reply);
} catch (error) {
  port.postMessage({ kind: "failed", message: String(error) } satisfies Reply);
}

let worstStallMs = 0;
let lastTick = start;
const loop = setInterval(tick, TICK_MS);

port.on("message", (request: Request) => {
  switch (request.kind) {
    case "mark": {
      const next = flows.map(({ log }) => log.next);
      port.postMessage({ kind: "mark", next, drops: drops(), worstStallMs } satisfies Reply);
      worstStallMs = 0;
      return;
    }
    case "account": {
      receive();
      const accounts = flows.map(({ log }, index) => log.between(request.from[index] ?? 0, request.to[index] ?? 0));
      return port.postMessage({ kind: "account", flows: accounts, drops: drops() } satisfies Reply);
    }
    case "stop":
      clearInterval(loop);
      for (const fd of [...receivers.values(), ...flows.map((flow) => flow.fd)]) closeSocket(fd);
      port.postMessage({ kind: "stop" } satisfies Reply);
      return port.close();
  }
});

function openFlow(spec: FlowSpec, index: number): Flow {
  const { namespace, address, port: toPort } = spec.to;
  const place = `${namespace} ${address} ${toPort}`;
  if (!receivers.has(place)) {
    receivers.set(
      place,
      withinNamespace(namespace, () => openUdp(spec.to, receiveBufferBytes)),
    );
  }
  const fd = withinNamespace(spec.from.namespace, () => openUdp(spec.from, receiveBufferBytes));
  const packet = Buffer.alloc(Math.max(HEADER_BYTES, spec.bytes ?? 0));
  packet.writeUInt32LE(MAGIC, 0);
  packet.writeUInt32LE(index, 4);
  return {
    log: new FlowLog(),
    fd,
    to: socketAddress(spec.to),
    packet,
    intervalMs: 1000 / spec.packetsPerSecond,
    dueMs: start,
  };
}

function tick(): void {
  const now = performance.now();
  worstStallMs = Math.max(worstStallMs, now - lastTick);
  lastTick = now;
  for (const flow of flows) {
    const { log, fd, to, packet, intervalMs } = flow;
    flow.dueMs = Math.max(flow.dueMs, now - CATCH_UP_MS);
    for (; flow.dueMs <= now; flow.dueMs += intervalMs) {
      packet.writeUInt32LE(log.next, 8);
      const errno = sendUdp(fd, packet, to);
      log.send(now, errno);
    }
  }
  receive();
}

const received = Buffer.alloc(2048);

function receive(): void {
  for (const fd of receivers.values()) {
    for (let length = receiveUdp(fd, received); length !== undefined; length = receiveUdp(fd, received)) {
      if (length < HEADER_BYTES || received.readUInt32LE(0) !== MAGIC) continue;
      flows[received.readUInt32LE(4)]?.log.receive(received.readUInt32LE(8));
    }
  }
}

function drops(): number {
  return [...receivers.values()].reduce((sum, fd) => sum + dropsOf(fd), 0);
}
