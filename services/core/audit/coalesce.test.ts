import { expect, test } from "vitest";
import { createCoalescer, type RefusalFacts } from "./coalesce.ts";
import type { Actor, AuditFacts } from "./entry.ts";

const WINDOW_MS = 60_000;
const alice: Actor = { kind: "operator", name: "alice", role: "viewer" };

function refusal(timeMs: number, more: Partial<RefusalFacts> = {}): RefusalFacts {
  return { timeMs, action: "Register", refusal: "TOKEN_UNKNOWN", actor: { kind: "nobody" }, ...more };
}

const brief = (facts: readonly AuditFacts[]) => facts.map(({ refusal: reason, count = 1 }) => `${reason} ${count}`);

test("the first of a kind is written at once, equal ones when the minute is over, with their count and times", () => {
  const coalescer = createCoalescer();
  expect(coalescer.nextMs).toBeUndefined();
  expect(brief(coalescer.take(refusal(0), "a"))).toEqual(["TOKEN_UNKNOWN 1"]);
  for (let n = 1; n <= 500; n++) expect(coalescer.take(refusal(n), "a")).toEqual([]);
  expect(coalescer.nextMs).toBe(WINDOW_MS);
  expect(coalescer.due(WINDOW_MS - 1)).toEqual([]);
  expect(coalescer.due(WINDOW_MS)).toEqual([{ ...refusal(500), count: 500, firstTimeMs: 1 }]);
  expect(coalescer.due(Infinity)).toEqual([]);
});

test("what is due comes before the next refusal, which is the first of its kind again", () => {
  const coalescer = createCoalescer();
  for (const timeMs of [0, 1, WINDOW_MS]) coalescer.take(refusal(timeMs), "a");
  expect(brief(coalescer.due(Infinity))).toEqual([]);
  const again = createCoalescer();
  again.take(refusal(0), "a");
  again.take(refusal(1), "a");
  expect(brief(again.take(refusal(WINDOW_MS), "a"))).toEqual(["TOKEN_UNKNOWN 1", "TOKEN_UNKNOWN 1"]);
});

test.each<{ name: string; more: Partial<RefusalFacts>; from?: string }>([
  { name: "another address", more: {}, from: "b" },
  { name: "another caller", more: { actor: alice } },
  { name: "another method", more: { action: "Renew" } },
  { name: "another reason", more: { refusal: "TOKEN_EXPIRED" } },
  { name: "another target", more: { target: "cluster.us" } },
  { name: "another token", more: { tokenId: "t" } },
])("$name is another kind", ({ more, from = "a" }) => {
  const coalescer = createCoalescer();
  coalescer.take(refusal(0), "a");
  expect(coalescer.take(refusal(1, more), from)).toHaveLength(1);
});

test("a flood of different refusals is bounded, counted, and leaves room for known callers", () => {
  const coalescer = createCoalescer({ kinds: 3 });
  const written: AuditFacts[] = [];
  for (let n = 0; n < 10_000; n++) written.push(...coalescer.take(refusal(n, { tokenId: `${n}` }), `${n}`));
  expect(written).toHaveLength(3);
  expect(coalescer.take(refusal(10_000, { actor: alice, refusal: "ROLE_REQUIRED" }), "a")).toHaveLength(1);
  expect(coalescer.due(Infinity)).toMatchObject([{ refusal: "SEVERAL", count: 9_997, firstTimeMs: 3, timeMs: 9_999 }]);
});
