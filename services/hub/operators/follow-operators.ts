/**
 * @module Whether an operator's certificate still lets in. Each call asks the store, so that a revocation counts at every
 * hub from the moment it is written; what was heard of it ends calls under way, and stands in while the store is away.
 */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import { refusal } from "../refusal.ts";
import type { RegistryBucket } from "../state/port.ts";
import { decodeOperator, OPERATOR_PREFIX, type OperatorRecord } from "./operator-record.ts";
import { findOperator, keepRevoked } from "./operator-registry.ts";

export interface OperatorView {
  /** Throws `OPERATOR_REVOKED` for one that is revoked, has expired, or that this mesh's store does not know. */
  check(serial: string): Promise<void>;
  /** Calls once if the certificate is revoked; the returned function ends that. */
  onRevoked(serial: string, listener: () => void): () => void;
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

export interface ViewOptions {
  readonly registry: RegistryBucket;
  readonly clock: Clock;
  readonly onFailure: (error: unknown) => void;
  readonly signal: AbortSignal;
}

const RETRY_MS = 1_000;

export function followOperators(options: ViewOptions): OperatorView {
  const { registry, clock, onFailure, signal } = options;
  const known = new Map<string, OperatorRecord>();
  const listeners = new Map<string, Set<() => void>>();

  return {
    async check(serial) {
      const operator = await read(serial);
      if (operator === undefined) throw refused("is not one that this mesh knows: its store may have been made anew");
      if (operator.revokedAtMs !== undefined) throw refused("was revoked");
      if (operator.expiresAtMs < clock.now()) throw refused("has expired");
    },
    onRevoked(serial, listener) {
      if (known.get(serial)?.revokedAtMs !== undefined) listener();
      const of = listeners.get(serial) ?? new Set();
      listeners.set(serial, of.add(listener));
      return () => {
        of.delete(listener);
        if (of.size === 0) listeners.delete(serial);
      };
    },
    done: follow(),
  };

  /** What is known to be revoked stays so, whatever a rolled-back store says. */
  async function read(serial: string): Promise<OperatorRecord | undefined> {
    const last = known.get(serial);
    if (last?.revokedAtMs !== undefined) return last;
    try {
      return await findOperator(registry, serial);
    } catch (error) {
      if (last !== undefined && error instanceof SpanwireError && error.code === "unavailable") return last;
      throw error;
    }
  }

  async function follow(): Promise<void> {
    while (!signal.aborted) {
      try {
        await hear();
      } catch (error) {
        if (!signal.aborted) onFailure(error);
      }
      await clock.sleep(RETRY_MS, signal).catch(() => undefined);
    }
  }

  async function hear(): Promise<void> {
    const found = new Set<string>();
    for await (const event of registry.watch({ prefix: OPERATOR_PREFIX, signal })) {
      if (event.kind === "put") {
        const { key, bytes } = event.entry;
        const operator = decodeOperator(key, bytes);
        found.add(operator.serial);
        await take(operator);
      } else if (event.kind === "delete") {
        known.delete(event.key.slice(OPERATOR_PREFIX.length));
      } else {
        for (const operator of known.values()) if (!found.has(operator.serial)) await restore(operator);
      }
    }
  }

  async function take(operator: OperatorRecord): Promise<void> {
    const { serial, revokedAtMs } = operator;
    const before = known.get(serial);
    if (before?.revokedAtMs !== undefined) return revokedAtMs === undefined ? restore(before) : undefined;
    known.set(serial, operator);
    if (revokedAtMs !== undefined) for (const listener of [...(listeners.get(serial) ?? [])]) listener();
  }

  async function restore(operator: OperatorRecord): Promise<void> {
    if (operator.revokedAtMs !== undefined && operator.expiresAtMs > clock.now()) await keepRevoked(registry, operator);
  }
}

function refused(why: string): SpanwireError {
  return refusal("OPERATOR_REVOKED", `your operator's certificate ${why}: ask an admin for another`);
}
