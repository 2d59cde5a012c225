/** @module Stop 3: what one hub does for all, on its own: heads, sweeps, and admissions that must not run out. */
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Random } from "@spanwire/core/time";
import type { Admission } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import { publishHeads } from "../distribution/publish-heads.ts";
import type { AdmissionWriter, WriterOptions } from "../registration/admission-writer.ts";
import { sweepTokens } from "../registration/tokens.ts";

export interface LeadOptions extends WriterOptions {
  readonly writer: AdmissionWriter;
  /** As the state user. */
  readonly nats: NatsConnection;
  readonly leaseMs: number;
  readonly log: Logger;
  readonly random: Random;
  /** Aborts when we no longer lead. */
  readonly signal: AbortSignal;
}

const SWEEP_MS = 60_000;

/** Leads until the signal aborts. Every write is compare-and-set, so that a late leader harms nothing. */
export async function lead(options: LeadOptions): Promise<void> {
  const { nats, map, meshId, signers, clock, log, random, signal } = options;
  const sweeping = startLoop({
    clock,
    random,
    signal,
    step: (stop) => sweep(options, stop),
    onFailure: (err, _failure, retryInMs) => log.warn({ err, retryInMs }, "sweeping failed"),
  });
  const heads = publishHeads({
    nats,
    map,
    meshId,
    signer: signers.online,
    sha256,
    clock,
    isLeader: () => true,
    signal,
  });
  await Promise.all([sweeping.done, heads]);
}

async function sweep(options: LeadOptions, signal: AbortSignal): Promise<number> {
  const { store, clock, map, leaseMs } = options;
  await sweepTokens(store.registry, clock.now());
  await map.whenCurrent(signal);
  for (const { clusterId } of dueAdmissions(map.records.admissions.values(), { nowMs: clock.now(), leaseMs })) {
    await extend(options, clusterId, signal);
  }
  return SWEEP_MS;
}

/** Admissions of which less than half the lease is left, and which have gateways that live by it. */
export function dueAdmissions(
  admissions: Iterable<Admission>,
  { nowMs, leaseMs }: { readonly nowMs: number; readonly leaseMs: number },
): readonly Admission[] {
  return [...admissions].filter(
    ({ gateways, notAfter }) =>
      gateways.length > 0 && notAfter !== undefined && timestampMs(notAfter) - nowMs < leaseMs / 2,
  );
}

/** Signs the admission again as it is, with a later end; decided anew where it changed meanwhile. */
async function extend({ writer, clock, leaseMs }: LeadOptions, clusterId: string, signal: AbortSignal): Promise<void> {
  await writer.commit(async ({ admissions, orderOf }) => {
    const nowMs = clock.now();
    const [admission] = dueAdmissions(
      [admissions.get(clusterId)].filter((each) => each !== undefined),
      { nowMs, leaseMs },
    );
    const order = orderOf(`cluster.${clusterId}`);
    if (admission === undefined || order === undefined) return { value: undefined, write: undefined };
    const extended = { ...admission, notAfter: timestampFromMs(nowMs + leaseMs) };
    return { value: undefined, write: { admission: extended, order: { ...order, generation: order.generation + 1n } } };
  }, signal);
}
