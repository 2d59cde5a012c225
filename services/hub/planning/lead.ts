/** @module Stop 3: what one hub does for all, on its own: heads, sweeps, rotations, admissions that must not run out. */
import { timestampFromMs, timestampMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import { clusterKey } from "@spanwire/core/records/key";
import type { Random } from "@spanwire/core/time";
import { type Admission, AdmissionSchema } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import type { Logger } from "@spanwire/runtime/log/logger";
import { startLoop } from "@spanwire/runtime/loop/loop";
import { stateJson } from "../audit/state-json.ts";
import { publishHeads } from "../distribution/publish-heads.ts";
import { sweepOperators } from "../operators/operator-registry.ts";
import type { AdmissionWriter } from "../registration/admission-writer.ts";
import { sweepTokens } from "../registration/tokens.ts";
import { createRotator, type RotateOptions } from "./rotate.ts";

export interface LeadOptions extends RotateOptions {
  readonly writer: AdmissionWriter;
  /** As the state user. */
  readonly nats: NatsConnection;
  readonly connectCount: () => number;
  readonly leaseMs: number;
  /** Keeps the audit log within its limits. */
  readonly trimAudit: (signal: AbortSignal) => Promise<unknown>;
  readonly log: Logger;
  readonly random: Random;
  /** Aborts when we no longer lead. */
  readonly signal: AbortSignal;
}

const SWEEP_MS = 60_000;
const TRIM_MS = 600_000;
const HUB = { actor: { kind: "hub" } } as const;

/** Leads until the signal aborts. Every write is compare-and-set, so that a late leader harms nothing. */
export async function lead(options: LeadOptions): Promise<void> {
  const { nats, map, meshId, signers, connectCount, clock, log, random, trimAudit, signal } = options;
  const sweeping = startLoop({
    clock,
    random,
    signal,
    step: (stop) => sweep(options, stop),
    onFailure: (err, _failure, retryInMs) => log.warn({ err, retryInMs }, "sweeping failed"),
  });
  const trimming = startLoop({
    clock,
    random,
    signal,
    step: async (stop) => {
      await trimAudit(stop);
      return TRIM_MS;
    },
    onFailure: (err, _failure, retryInMs) => log.warn({ err, retryInMs }, "trimming the audit log failed"),
  });
  const rotating = startLoop({
    clock,
    random,
    signal,
    step: createRotator(options),
    onFailure: (err, _failure, retryInMs) => log.warn({ err, retryInMs }, "driving the rotation failed"),
  });
  const heads = publishHeads({
    nats,
    map,
    meshId,
    signer: signers.online,
    sha256,
    clock,
    isLeader: () => true,
    connectCount,
    signal,
  });
  await Promise.all([sweeping.done, trimming.done, rotating.done, heads]);
}

async function sweep(options: LeadOptions, signal: AbortSignal): Promise<number> {
  const { store, clock, map, leaseMs, record } = options;
  const swept = await sweepTokens(store.registry, clock.now());
  if (swept > 0)
    record({ ...HUB, action: "token.sweep", message: `${swept} tokens that ended a day ago are forgotten` });
  await sweepOperators(store.registry, clock.now());
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
async function extend(options: LeadOptions, clusterId: string, signal: AbortSignal): Promise<void> {
  const { writer, clock, leaseMs, record } = options;
  const { value } = await writer.commit(async ({ admissions, orderOf }) => {
    const nowMs = clock.now();
    const [admission] = dueAdmissions(
      [admissions.get(clusterId)].filter((each) => each !== undefined),
      { nowMs, leaseMs },
    );
    const order = orderOf(`cluster.${clusterId}`);
    if (admission === undefined || order === undefined) return { value: undefined, write: undefined };
    const extended = { ...admission, notAfter: timestampFromMs(nowMs + leaseMs) };
    const write = { admission: extended, order: { ...order, generation: order.generation + 1n } };
    return { value: { before: admission, after: extended }, write };
  }, signal);
  if (value === undefined) return;
  const [before, after] = [value.before, value.after].map((each) => stateJson(AdmissionSchema, each));
  record({ ...HUB, action: "cluster.extend", target: clusterKey(clusterId), before, after });
}
