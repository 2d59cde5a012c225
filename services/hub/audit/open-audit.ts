/** @module The audit of a hub, wired: what the rest of the hub tells it, and what operators ask of it. */
import type { Meter } from "@opentelemetry/api";
import type { AuditFacts } from "@spanwire/core/audit/entry";
import { DELEGATION_KEY } from "@spanwire/core/records/key";
import type { Clock, Random } from "@spanwire/core/time";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import type { Logger } from "@spanwire/runtime/log/logger";
import { trustOf } from "../authority/genesis.ts";
import type { Foundation } from "../foundation.ts";
import type { HubCondition } from "../status/hub-condition.ts";
import { createAuditLog } from "./audit-log.ts";
import { type AuditedCalls, createAuditedCalls } from "./audited-calls.ts";
import { createNatsAuditStore } from "./nats-audit-store.ts";
import { readLog, type Wanted } from "./read-log.ts";
import { createRecorder, type RecordEntry } from "./recorder.ts";
import { type LogLimits, trimLog } from "./trim-log.ts";

export interface Audit {
  readonly record: RecordEntry;
  readonly calls: AuditedCalls;
  /** The log as it is stored, block by block; `unavailable` while it cannot be reached. */
  read(wanted: Wanted, signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** Keeps the log within its limits; for the leader. */
  trim(signal: AbortSignal): Promise<number>;
  conditions(): readonly HubCondition[];
  /** Writes what waits. */
  close(): Promise<void>;
}

export interface OpenAuditOptions {
  readonly foundation: Pick<Foundation, "authority" | "map" | "store" | "connections">;
  /** Who writes: "host/process id". */
  readonly hub: string;
  readonly replicas: number | undefined;
  readonly limits: LogLimits;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly meter: Meter;
}

/** Waits for nothing: the log is opened when there is something to write. */
export function openAudit(options: OpenAuditOptions): Audit {
  const { foundation, hub, replicas, limits, clock, random } = options;
  const { authority, map, connections } = foundation;
  const { meshId } = authority.mesh;
  const delegation = () => map.records.get(DELEGATION_KEY)?.bytes ?? new Uint8Array();
  const store = createNatsAuditStore({ connection: connections.state, replicas });
  const log = createAuditLog({
    store,
    registry: foundation.store.registry,
    sealer: { meshId, hub, signer: authority.online, delegation, sha256 },
    trust: trustOf(authority, { verify: createVerify(), sha256 }),
    clock,
    random,
  });
  const { record, write, conditions, close } = createRecorder({ ...options, log });
  return {
    record,
    calls: createAuditedCalls({ record, meshId }),
    read: (wanted, signal) => readLog({ store, log, clock, signal }, wanted),
    trim: (signal) => {
      const writeNow = (facts: AuditFacts) => write(facts, signal);
      return trimLog({ store, limits, write: writeNow, nowMs: clock.now() });
    },
    conditions,
    close,
  };
}
