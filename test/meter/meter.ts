/**
 * @module The loss meter: constant UDP flows between network namespaces, every packet accounted for by its number.
 *
 *     await using meter = await startMeter(flows);
 *     const control = await meter.during(() => delay(10_000));
 *     const flips = await meter.during(flipEveryGateway);
 */
import { once } from "node:events";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Worker } from "node:worker_threads";

import type { FlowAccount } from "./flow-log.ts";
import type { Reply, Request } from "./worker.ts";

export interface FlowSpec {
  readonly from: FlowEnd;
  /** Flows to the same end share its socket; different ports of `from` make them different flows to a router. */
  readonly to: FlowEnd;
  readonly packetsPerSecond: number;
  /** Of UDP payload; at least 12. */
  readonly bytes?: number;
}

export interface FlowEnd {
  /** A file of the namespace: "/run/netns/NAME". */
  readonly namespace: string;
  readonly address: string;
  readonly port: number;
}

/** All flows together, and each. */
export interface Account {
  readonly sent: number;
  readonly lost: number;
  readonly duplicated: number;
  readonly reordered: number;
  readonly seconds: number;
  /** The longest time in which the meter itself did not run; what it would have sent meanwhile is not sent. */
  readonly worstStallMs: number;
  readonly flows: readonly (FlowAccount & { readonly spec: FlowSpec })[];
  /** When it began, on the clock of the flows' gaps. */
  readonly startMs: number;
}

export interface Meter extends AsyncDisposable {
  /**
   * Runs `action` and accounts for exactly the packets sent meanwhile, waiting up to `lateMs` (2 s) for stragglers.
   *
   * Throws when the meter's own sockets dropped packets: such a run says nothing.
   */
  during(action: () => Promise<unknown>, options?: { readonly lateMs?: number }): Promise<Account>;
}

const LATE_MS = 2000;
const POLL_MS = 50;
const SHOWN_GAPS = 4;
const RECEIVE_BUFFER_BYTES = 16 << 20;

/** Starts the flows and returns when they run; needs root. */
export async function startMeter(
  specs: readonly FlowSpec[],
  { receiveBufferBytes = RECEIVE_BUFFER_BYTES }: { readonly receiveBufferBytes?: number } = {},
): Promise<Meter> {
  const workerData = { specs, receiveBufferBytes };
  const worker = new Worker(join(import.meta.dirname, "worker.ts"), { workerData });
  const first = await nextReply(worker);
  if (first.kind === "failed") {
    await worker.terminate();
    throw new Error(`meter: ${first.message}`);
  }

  return {
    async during(action, { lateMs = LATE_MS } = {}) {
      const from = await ask("mark");
      const startMs = performance.now();
      await action();
      const seconds = (performance.now() - startMs) / 1000;
      const to = await ask("mark");
      const deadline = performance.now() + lateMs;
      for (;;) {
        const reply = await ask("account", { from: from.next, to: to.next });
        if (reply.drops > from.drops)
          throw new Error(`meter: its own sockets dropped ${reply.drops - from.drops} packets`);
        const { flows } = reply;
        const { worstStallMs } = to;
        const lost = sum(flows, "lost");
        if (lost === 0 || performance.now() > deadline) {
          const [sent, duplicated, reordered] = [sum(flows, "sent"), sum(flows, "duplicated"), sum(flows, "reordered")];
          const detailed = flows.flatMap((flow, index) => {
            const spec = specs[index];
            return spec === undefined ? [] : [{ ...flow, spec }];
          });
          return { sent, lost, duplicated, reordered, seconds, worstStallMs, flows: detailed, startMs };
        }
        await delay(POLL_MS);
      }
    },
    async [Symbol.asyncDispose]() {
      await ask("stop");
      await worker.terminate();
    },
  };

  async function ask<K extends Request["kind"]>(kind: K, rest: object = {}): Promise<Extract<Reply, { kind: K }>> {
    const reply = nextReply(worker);
    worker.postMessage({ kind, ...rest });
    return (await reply) as Extract<Reply, { kind: K }>;
  }
}

/** Prints an account in one line, with its first gaps: "sent 9600 lost 12 (0.13 %) ...". */
export function describeAccount({
  sent,
  lost,
  duplicated,
  reordered,
  seconds,
  worstStallMs,
  flows,
  startMs,
}: Account): string {
  const gaps = flows.flatMap(({ gaps, spec }) =>
    gaps.map(({ count, atMs }) => {
      const at = ((atMs - startMs) / 1000).toFixed(2);
      return `${count} of ${spec.from.address}:${spec.from.port} > ${spec.to.address} at ${at} s`;
    }),
  );
  const share = sent === 0 ? 0 : (100 * lost) / sent;
  return [
    `sent ${sent} lost ${lost} (${share.toFixed(2)} %) duplicated ${duplicated} reordered ${reordered}`,
    `in ${seconds.toFixed(1)} s, worst stall of the meter ${worstStallMs.toFixed(0)} ms`,
    ...gaps.slice(0, SHOWN_GAPS),
    ...(gaps.length > SHOWN_GAPS ? [`and ${gaps.length - SHOWN_GAPS} more gaps`] : []),
  ].join("; ");
}

function sum(flows: readonly FlowAccount[], key: "sent" | "lost" | "duplicated" | "reordered"): number {
  return flows.reduce((total, flow) => total + flow[key], 0);
}

async function nextReply(worker: Worker): Promise<Reply> {
  const [reply] = await once(worker, "message");
  return reply;
}
