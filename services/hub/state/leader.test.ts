import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { expect, test } from "vitest";
import { createFakeStateStore, type FakeStateStore } from "./fake-state-store.ts";
import { readLeader, startLeadership } from "./leader.ts";

/** A hub that can be stopped at once (`kill`) or in order (`close`), and that counts its terms. */
function startHub(holder: string, store: FakeStateStore, clock: FakeClock) {
  const stop = new AbortController();
  const killed = { is: false };
  const terms: number[] = [];
  const running = { now: 0 };
  const kept = { ...store.registry };
  const reach = <T>(call: () => Promise<T>) => (killed.is ? new Promise<T>(() => {}) : call());
  const leadership = startLeadership({
    registry: {
      ...kept,
      get: (key) => reach(() => kept.get(key)),
      create: (key, bytes) => reach(() => kept.create(key, bytes)),
      update: (key, bytes, expected) => reach(() => kept.update(key, bytes, expected)),
    },
    holder,
    clock,
    lead: async (signal) => {
      terms.push(clock.now());
      running.now += 1;
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      running.now -= 1;
    },
    onFailure: () => {},
    signal: stop.signal,
  });
  return {
    leadership,
    terms,
    running,
    kill: () => {
      killed.is = true;
    },
    close: async () => {
      stop.abort();
      await leadership.done;
    },
  };
}

test("the first one leads and stays", async () => {
  const store = createFakeStateStore();
  const clock = new FakeClock();
  const [a, b] = [startHub("a", store, clock), startHub("b", store, clock)];
  await clock.advance(60_000);
  expect([a.leadership.isLeader, b.leadership.isLeader]).toEqual([true, false]);
  expect([a.terms, b.terms]).toEqual([[0], []]);
  expect(await readLeader(store.registry)).toBe("a");
  await Promise.all([a.close(), b.close()]);
});

test("a killed leader is replaced within 5 s, and stops leading before that", async () => {
  const store = createFakeStateStore();
  const clock = new FakeClock();
  const [a, b] = [startHub("a", store, clock), startHub("b", store, clock)];
  await clock.advance(10_300);
  a.kill();
  const killedAt = clock.now();
  let bothLead = false;
  while (!b.leadership.isLeader) {
    await clock.advance(100);
    bothLead ||= a.leadership.isLeader && b.leadership.isLeader;
  }
  expect(bothLead).toBe(false);
  expect(clock.now() - killedAt).toBeLessThan(5_000);
  expect(a.running.now).toBe(0);
  expect(await readLeader(store.registry)).toBe("b");
  await b.close();
});

test("a leader that leaves in order is followed at once", async () => {
  const store = createFakeStateStore();
  const clock = new FakeClock();
  const [a, b] = [startHub("a", store, clock), startHub("b", store, clock)];
  await clock.advance(2_000);
  await a.close();
  await clock.advance(500);
  expect(b.leadership.isLeader).toBe(true);
  await b.close();
});

test("while the registry is away nobody leads; then one does again", async () => {
  const store = createFakeStateStore();
  const clock = new FakeClock();
  const [a, b] = [startHub("a", store, clock), startHub("b", store, clock)];
  await clock.advance(2_000);
  store.goAway();
  await clock.advance(4_000);
  expect([a.running.now, b.running.now]).toEqual([0, 0]);
  store.comeBack();
  await clock.advance(5_000);
  expect([a.leadership.isLeader, b.leadership.isLeader].sort()).toEqual([false, true]);
  await Promise.all([a.close(), b.close()]);
});

test("a leader whose lease was taken from it stops within a second", async () => {
  const store = createFakeStateStore();
  const clock = new FakeClock();
  const a = startHub("a", store, clock);
  await clock.advance(1_500);
  const entry = await store.registry.get("leader");
  await store.registry.update("leader", new Uint8Array([1]), { expectedRevision: entry?.revision ?? 0 });
  await clock.advance(1_000);
  expect([a.leadership.isLeader, a.running.now]).toEqual([false, 0]);
  await a.close();
});

test("what the work throws ends the leadership's promise", async () => {
  const bug = new TypeError("undefined");
  const { done } = startLeadership({
    registry: createFakeStateStore().registry,
    holder: "a",
    clock: new FakeClock(),
    lead: () => Promise.reject(bug),
    onFailure: () => {},
    signal: new AbortController().signal,
  });
  await expect(done).rejects.toBe(bug);
});
