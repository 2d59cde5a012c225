/**
 * @module The signed head: where the map is and what it adds up to, so that an agent notices what a relay withholds.
 *
 * Published every 2 s while something happens, every 10 s at rest (decisions/0001-heads-at-rest.md), and at once after a
 * write that matters (an admission or a tombstone): a change of an endpoint can wait for the next one, because an agent
 * that misses it still has the old endpoint.
 */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Sha256, Signer } from "@spanwire/core/records/crypto";
import { HEAD_KEY, parseKey } from "@spanwire/core/records/key";
import type { OpenedRecord } from "@spanwire/core/records/open";
import { sealRecord } from "@spanwire/core/records/seal";
import { HEAD_SUBJECT } from "@spanwire/core/subjects";
import type { Clock } from "@spanwire/core/time";
import type { HubMap } from "../state/mesh-view.ts";

export interface HeadOptions {
  /** As the state user. */
  readonly nats: NatsConnection;
  readonly map: HubMap;
  readonly meshId: string;
  /** The delegated online key. */
  readonly signer: Signer;
  readonly sha256: Sha256;
  readonly clock: Clock;
  /** Heads are the leader's; another hub only waits. */
  readonly isLeader: () => boolean;
  /** How many connections were made: who was away may have missed something. */
  readonly connectCount: () => number;
  readonly signal: AbortSignal;
}

const INTERVAL_MS = 2_000;
/** A third of the silence after which agents worry. */
const REST_INTERVAL_MS = 10_000;
/** Since the last change and the last connection. */
const REST_AFTER_MS = 30_000;
/** A hundred registrations in a second are ten heads, not a hundred for each agent. */
const GAP_MS = 100;

/** Publishes until the signal aborts; rejects when signing fails. */
export async function publishHeads(options: HeadOptions): Promise<void> {
  const { map, clock, isLeader, signal } = options;
  let urgent = new AbortController();
  const unsubscribe = map.onAccepted((record) => {
    if (isUrgent(record)) urgent.abort();
  });
  const isDue = createPace(options);
  const rest = (ms: number, until: AbortSignal) => clock.sleep(ms, until).catch(() => {});
  try {
    while (!signal.aborted) {
      urgent = new AbortController(); // before the map is read: what comes during the signature needs another head
      if (isLeader() && map.isCurrent && isDue()) await publishHead(options);
      await rest(GAP_MS, signal);
      await rest(INTERVAL_MS - GAP_MS, AbortSignal.any([signal, urgent.signal]));
    }
  } finally {
    unsubscribe();
  }
}

/** Says, whenever a head may be published, whether one is due; then it is taken for published. */
function createPace({ map, connectCount, clock }: HeadOptions): () => boolean {
  let seen = "";
  let [stirredMs, publishedMs] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  return () => {
    const nowMs = clock.elapsed();
    const happened = `${map.changes.version} ${connectCount()}`;
    if (happened !== seen) [seen, stirredMs] = [happened, nowMs];
    const isAtRest = nowMs - stirredMs >= REST_AFTER_MS;
    if (isAtRest && nowMs - publishedMs < REST_INTERVAL_MS) return false;
    publishedMs = nowMs;
    return true;
  };
}

async function publishHead({ nats, map, meshId, signer, sha256, clock }: HeadOptions): Promise<void> {
  const { lineage, sequence, records } = map;
  const hubTime = timestampFromMs(clock.now());
  const head = { case: "head", value: { hubTime, digest: records.digest(), recordCount: records.size } } as const;
  const payload = { key: HEAD_KEY, incarnation: lineage, generation: BigInt(sequence), issuedAt: hubTime, body: head };
  nats.publish(HEAD_SUBJECT, await sealRecord(meshId, payload, { signer, sha256 }));
}

function isUrgent({ key, payload }: OpenedRecord): boolean {
  return payload.body.case === "tombstone" || parseKey(key).type === "cluster";
}
