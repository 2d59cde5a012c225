/** @module What an operator should know of the map and of the way to the hub. Pure. */
import { sha256Hex } from "@spanwire/runtime/crypto/sha256";
import { formatPosition } from "../subscription/position.ts";
import type { MapHealth } from "../subscription/subscription.ts";

/** As in the status; sorted lists of them are compared. */
export interface ReportedCondition {
  readonly type: string;
  readonly subject: string;
  readonly message: string;
}

export interface HubFacts {
  readonly health: MapHealth;
  /** When this process began to listen. */
  readonly sinceMs: number;
  readonly nowMs: number;
  /** Why the hub does not take our statement. */
  readonly statementProblem: string | undefined;
  /** Why the credentials were not renewed. */
  readonly renewalProblem: string | undefined;
}

/** A head comes every 2 s; who hears none for so long is cut off, or somebody in between withholds them. */
const SILENCE_MS = 30_000;
/** Snapshots in a row: once or twice a message may simply be on its way. */
const WORRYING_FAILURES = 3;

export function mapConditions({
  health,
  sinceMs,
  nowMs,
  statementProblem,
  renewalProblem,
}: HubFacts): ReportedCondition[] {
  const { head, confirmed, rolledBack, missing, failures, position, notSaved } = health;
  const found: (ReportedCondition | undefined)[] = [
    nowMs - (head?.heardAtMs ?? sinceMs) > SILENCE_MS
      ? condition(
          "HubSilent",
          "hub",
          `no new head for ${seconds(nowMs - (head?.heardAtMs ?? sinceMs))}: the hub or NATS is away, and the last known map stays in force`,
        )
      : undefined,
    head !== undefined && nowMs - head.hubTimeMs > SILENCE_MS && nowMs - head.heardAtMs <= SILENCE_MS
      ? condition(
          "RelayStale",
          "hub",
          `heads arrive ${seconds(nowMs - head.hubTimeMs)} late by the hub's clock: check the clocks of hub and gateway, or who is in between`,
        )
      : undefined,
    confirmed
      ? undefined
      : condition("MapNotConfirmed", "map", "no map has yet been shown to be the hub's: nothing is programmed before"),
    rolledBack || missing > 0
      ? condition(
          "StoreRolledBack",
          "map",
          `the hub's store has lost records that it once signed (we stand at ${formatPosition(position)}): ${missing} are being handed back`,
        )
      : undefined,
    failures >= WORRYING_FAILURES && confirmed
      ? condition(
          "MapDiffers",
          "map",
          `${failures} snapshots in a row did not bring us to what the hub signed, or did not come`,
        )
      : undefined,
    notSaved === undefined
      ? undefined
      : condition(
          "StateNotSaved",
          "state directory",
          `the map is not on disk: ${notSaved}; forwarding goes on, a restart would fall back to what was saved`,
        ),
    statementProblem === undefined ? undefined : condition("StatementNotStored", "statement", statementProblem),
    renewalProblem === undefined ? undefined : condition("CredentialsNotRenewed", "credentials", renewalProblem),
  ];
  const rejected = health.rejections.map(({ key, reason, message, count, bytes }) =>
    condition(
      "RecordRejected",
      `${key} ${reason}`,
      `${message}; ${count} times; evidence sha256:${sha256Hex(bytes).slice(0, 16)}`,
    ),
  );
  return [...found.filter((each) => each !== undefined), ...rejected];
}

function condition(type: string, subject: string, message: string): ReportedCondition {
  return { type, subject, message };
}

function seconds(ms: number): string {
  return `${Math.round(ms / 1_000)} s`;
}
