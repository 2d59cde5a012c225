import type { SpanwireError } from "@spanwire/core/errors";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import { followOperators, type OperatorView } from "./follow-operators.ts";
import type { OperatorRecord } from "./operator-record.ts";
import { listOperators, recordOperator, revokeOperators, sweepOperators } from "./operator-registry.ts";

const START_MS = 1_790_000_000_000;
const operator = (serial: string, name = "alice"): OperatorRecord => ({
  ...{ name, serial, role: "admin" },
  ...{ createdAtMs: START_MS, expiresAtMs: START_MS + 3_600_000 },
});

let store: FakeStateStore;
let clock: FakeClock;
let stopping: AbortController;
let hubs: readonly OperatorView[];
beforeEach(async () => {
  store = createFakeStateStore();
  clock = new FakeClock(START_MS);
  stopping = new AbortController();
  const options = { registry: store.registry, clock, onFailure: () => {}, signal: stopping.signal };
  for (const each of [operator("a1"), operator("a2"), operator("b1", "bob")])
    await recordOperator(store.registry, each);
  hubs = [followOperators(options), followOperators(options)];
  await settle();
});
afterEach(async () => {
  stopping.abort();
  await Promise.all(hubs.map(({ done }) => done));
});

/** Lets the views hear what was written. */
async function settle(): Promise<void> {
  for (let step = 0; step < 50; step++) await new Promise((resolve) => setImmediate(resolve));
}

function check(serial: string): Promise<string[]> {
  const answers = hubs.map((hub) =>
    hub.check(serial).then(
      () => "in",
      ({ reason }: SpanwireError) => reason,
    ),
  );
  return Promise.all(answers);
}

test("a revoked certificate is refused at every hub at once; others of the name only where the name is revoked", async () => {
  await revokeOperators(store.registry, { serial: "a1" }, clock.now());
  expect(await check("a1")).toEqual(["OPERATOR_REVOKED", "OPERATOR_REVOKED"]); // before any of them has heard of it
  expect(await check("a2")).toEqual(["in", "in"]);
  expect(await revokeOperators(store.registry, { name: "alice" }, clock.now())).toMatchObject({ serials: ["a2"] });
  expect(await check("a2")).toEqual(["OPERATOR_REVOKED", "OPERATOR_REVOKED"]);
  expect(await check("b1")).toEqual(["in", "in"]);
  expect(await revokeOperators(store.registry, { name: "alice" }, clock.now())).toMatchObject({ serials: [] });
  await expect(revokeOperators(store.registry, { name: "carol" }, 0)).rejects.toMatchObject({
    reason: "OPERATOR_NOT_FOUND",
  });
});

test("one that the store does not know, or that has expired, is refused; what expired is forgotten", async () => {
  expect(await check("ff")).toEqual(["OPERATOR_REVOKED", "OPERATOR_REVOKED"]);
  await clock.advance(3_600_001);
  expect(await check("a1")).toEqual(["OPERATOR_REVOKED", "OPERATOR_REVOKED"]);
  expect(await sweepOperators(store.registry, clock.now())).toBe(3);
  expect(await listOperators(store.registry)).toEqual([]);
});

test("calls under way end at every hub, but not after they have ended, and not another's", async () => {
  const ended: string[] = [];
  for (const [at, hub] of hubs.entries()) {
    hub.onRevoked("a1", () => ended.push(`a1 at ${at}`));
    hub.onRevoked("b1", () => ended.push("b1"));
    hub.onRevoked("a1", () => ended.push("over"))();
  }
  await revokeOperators(store.registry, { serial: "a1" }, clock.now());
  await expect.poll(() => ended.sort()).toEqual(["a1 at 0", "a1 at 1"]);
  hubs[0]?.onRevoked("a1", () => ended.push("late"));
  expect(ended).toContain("late");
});

test("while the store is away, what is known counts", async () => {
  await revokeOperators(store.registry, { serial: "a1" }, clock.now());
  await settle();
  store.goAway();
  expect(await check("a1")).toEqual(["OPERATOR_REVOKED", "OPERATOR_REVOKED"]);
  expect(await check("a2")).toEqual(["in", "in"]);
  expect(await check("ff")).toEqual(["STATE_UNAVAILABLE", "STATE_UNAVAILABLE"]);
});

test("a store that is rolled back brings no revoked operator back, and is told again", async () => {
  const copy = store.registryStore.copy();
  await revokeOperators(store.registry, { serial: "a1" }, clock.now());
  await settle();
  store.registryStore.rollBack(copy);
  expect(await check("a1")).toEqual(["OPERATOR_REVOKED", "OPERATOR_REVOKED"]);
  for (let step = 0; step < 3; step++) await clock.advance(1_000).then(settle);
  const kept = (await listOperators(store.registry)).find(({ serial }) => serial === "a1");
  expect(kept?.revokedAtMs).toBe(START_MS);
});
