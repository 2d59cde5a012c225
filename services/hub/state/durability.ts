/** @module Whether NATS keeps what it acknowledges, whatever ends: what `profile: production` asks of it. Pure. */
import { SpanwireError } from "@spanwire/core/errors";

/** What NATS says of one bucket's stream. */
export interface BucketCopies {
  readonly bucket: string;
  /** Names of the servers that hold a copy. */
  readonly servers: readonly string[];
}

export interface StoreFacts {
  readonly buckets: readonly BucketCopies[];
  /** Whether a server has `sync_interval: always`, by its name; servers that did not say are missing. */
  readonly syncsAlways: ReadonlyMap<string, boolean>;
}

const COPIES = 3;

/**
 * Gives the names of the servers that did not say how they write; throws `NOT_DURABLE` for what is known to lose
 * acknowledged writes: fewer than three copies, or a server that does not sync each write (its default loses some when
 * the power fails in several places at once).
 */
export function requireDurability({ buckets, syncsAlways }: StoreFacts): readonly string[] {
  const few = buckets.filter(({ servers }) => servers.length < COPIES);
  if (few.length > 0) {
    const said = few.map(({ bucket, servers }) => `${bucket} has ${servers.length}`).join(", ");
    throw refuse(`needs ${COPIES} copies of each bucket, ${said}: set nats.replicas to ${COPIES} on a NATS cluster`);
  }
  const servers = [...new Set(buckets.flatMap((bucket) => bucket.servers))].sort();
  const lazy = servers.filter((name) => syncsAlways.get(name) === false);
  if (lazy.length > 0) {
    throw refuse(`needs sync_interval: always in the jetstream block of every server, not so on ${lazy.join(", ")}`);
  }
  return servers.filter((name) => !syncsAlways.has(name));
}

/** Refuses the hub's own server, which keeps one copy, before anything is made. */
export function refuseOwnServer(): SpanwireError {
  return refuse("the hub's own nats-server keeps one copy of the state: name a NATS cluster in nats.servers");
}

function refuse(why: string): SpanwireError {
  return new SpanwireError("invalid", `profile production: ${why}`, { reason: "NOT_DURABLE" });
}
