/**
 * @module Refusals as the log takes them: the first of its kind at once, equal ones within a minute as one with a count.
 *
 * Whoever sends bad requests chooses how many: so also the number of different ones in a minute is bounded, apart for
 * callers that have proven who they are, which a flood by anybody must not push out of the log.
 */
import type { AuditFacts } from "./entry.ts";

export type RefusalFacts = AuditFacts & { readonly refusal: string };

export interface Coalescer {
  /** What to write now for this refusal; `from` is the name that its address is counted under. */
  take(facts: RefusalFacts, from: string): readonly AuditFacts[];
  /** What was held back and is due; all of it with `Infinity`. */
  due(nowMs: number): readonly AuditFacts[];
  /** When something will be due. */
  readonly nextMs: number | undefined;
}

interface Held {
  /** The last one. */
  readonly facts: AuditFacts;
  readonly firstMs: number;
  /** Not written yet. */
  readonly count: number;
}

const WINDOW_MS = 60_000;
const KINDS_PER_WINDOW = 30;

export function createCoalescer({ windowMs = WINDOW_MS, kinds = KINDS_PER_WINDOW } = {}): Coalescer {
  const held = new Map<string, Held>();
  let endsMs: number | undefined;
  const due = (nowMs: number): AuditFacts[] => {
    if (endsMs === undefined || nowMs < endsMs) return [];
    const repeated = [...held.values()].filter(({ count }) => count > 0);
    held.clear();
    endsMs = undefined;
    return repeated.map(({ facts, firstMs, count }) => ({ ...facts, count, firstTimeMs: firstMs }));
  };
  return {
    take(facts, from) {
      const ended = due(facts.timeMs);
      endsMs ??= facts.timeMs + windowMs;
      const { kind } = facts.actor;
      const budget = kind === "nobody" ? "nobody" : "proven";
      const own = `${budget} ${JSON.stringify([facts.actor, from, facts.action, facts.refusal, facts.target, facts.tokenId])}`;
      const isKnown = held.has(own);
      const isFull = [...held.keys()].filter((key) => key.startsWith(budget)).length >= kinds;
      const key = isKnown || !isFull ? own : `others of ${budget}`;
      const before = held.get(key);
      const isNew = key === own && !isKnown;
      const kept = key === own ? facts : others(facts);
      const firstMs = before === undefined || before.count === 0 ? facts.timeMs : before.firstMs;
      held.set(key, { facts: kept, firstMs, count: isNew ? 0 : (before?.count ?? 0) + 1 });
      return isNew ? [...ended, facts] : ended;
    },
    due,
    get nextMs() {
      return endsMs;
    },
  };
}

/** Of more kinds than the log takes in a minute: only how many. */
function others({ timeMs, actor }: RefusalFacts): AuditFacts {
  const who = actor.kind === "nobody" ? "callers that have proven nothing" : "known callers";
  return {
    timeMs,
    action: "several",
    actor: { kind: "nobody" },
    refusal: "SEVERAL",
    message: `more kinds of refusals of ${who} than are written down one by one`,
  };
}
