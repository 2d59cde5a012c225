/** @module Whether NATS keeps what it acknowledges, whatever ends: what `profile: production` asks of it. Pure. */
import { SpanwireError } from "@spanwire/core/errors";
import type { HubCondition } from "../status/hub-condition.ts";

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
 * Throws `NOT_DURABLE` for what is known to lose acknowledged writes: fewer than three copies, or a server that does not
 * sync each write (its default loses some when the power fails in several places at once).
 */
export function requireDurability(facts: StoreFacts): void {
  const [lack] = lacks(facts);
  if (lack !== undefined) throw refuse(lack.message);
}

/** What operators should know of it while the hub runs: what is lacking by now, and of which servers nobody knows. */
export function describeDurability(facts: StoreFacts): readonly HubCondition[] {
  const unknown = serversOf(facts).filter((name) => !facts.syncsAlways.has(name));
  return [
    ...lacks(facts).map(({ subject, message }) => ({
      type: "NotDurable",
      subject,
      message: `acknowledged changes may be lost: ${message}`,
    })),
    ...unknown.map((name) => ({
      type: "DurabilityNotVerified",
      subject: name,
      message: `not verified: whether nats server ${name} has sync_interval: always; it did not say when it was asked last`,
    })),
  ];
}

/** Refuses the hub's own server, which keeps one copy, before anything is made. */
export function refuseOwnServer(): SpanwireError {
  return refuse("the hub's own nats-server keeps one copy of the state: name a NATS cluster in nats.servers");
}

interface Lack {
  readonly subject: string;
  readonly message: string;
}

function lacks(facts: StoreFacts): Lack[] {
  const few = facts.buckets.filter(({ servers }) => servers.length < COPIES);
  const said = few.map(({ bucket, servers }) => `${bucket} has ${servers.length}`).join(", ");
  const lazy = serversOf(facts).filter((name) => facts.syncsAlways.get(name) === false);
  const copies = {
    subject: few.map(({ bucket }) => bucket).join(", "),
    message: `needs ${COPIES} copies of each bucket, ${said}: set nats.replicas to ${COPIES} on a NATS cluster`,
  };
  const sync = {
    subject: lazy.join(", "),
    message: `needs sync_interval: always in the jetstream block of every server, not so on ${lazy.join(", ")}`,
  };
  return [copies, sync].filter(({ subject }) => subject !== "");
}

/** A server that holds no copy may write as it likes. */
function serversOf({ buckets }: StoreFacts): string[] {
  return [...new Set(buckets.flatMap((bucket) => bucket.servers))].sort();
}

function refuse(why: string): SpanwireError {
  return new SpanwireError("invalid", `profile production: ${why}`, { reason: "NOT_DURABLE" });
}
