import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { beforeEach, describe, expect, test } from "vitest";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import type { AuditLog } from "./audit-log.ts";
import { describeAuditStore } from "./contract.ts";
import { createFakeAuditStore, type FakeAuditStore } from "./fake-audit-store.ts";
import { readLog } from "./read-log.ts";
import { change, inspect, openTestLog } from "./testing.ts";
import { trimLog } from "./trim-log.ts";

describeAuditStore("the audit store in memory", async () => createFakeAuditStore());

const { signal } = new AbortController();
let store: FakeAuditStore;
let state: FakeStateStore;
let log: AuditLog;
beforeEach(async () => {
  store = createFakeAuditStore();
  state = createFakeStateStore();
  log = await openTestLog({ store, registry: state.registry });
});

const restart = () => openTestLog({ store, registry: state.registry, hub: "hub/2" });
const targets = async (of = log) => (await inspect({ store, log: of })).entries.map(({ target }) => target);

test("entries are in the log as they were written, and it is whole; so also after a restart", async () => {
  await log.append([change("a"), change("b")], signal);
  await log.append([change("c")], signal);
  const again = await restart();
  await again.append([change("d")], signal);
  expect(await inspect({ store, log: again })).toMatchObject({ problems: [], first: 1n, last: 4n });
  expect(await targets(again)).toEqual(["a", "b", "c", "d"]);
});

test("hubs that write at the same time write one chain, in which none is missing", async () => {
  const logs = await Promise.all(
    [1, 2, 3].map((n) => openTestLog({ store, registry: state.registry, hub: `hub/${n}` })),
  );
  await Promise.all(
    logs.map(async (each, hub) => {
      for (let n = 0; n < 20; n++) await each.append([change(`${hub}.${n}`)], signal);
    }),
  );
  expect(await inspect({ store, log })).toMatchObject({ problems: [], last: 60n });
  expect(new Set(await targets())).toHaveLength(60);
});

describe("a write whose answer was lost", () => {
  test.each([
    { name: "is not written twice", between: async () => {} },
    {
      name: "is not written twice, also where another hub wrote behind it",
      between: async () => void (await (await restart()).append([change("other")], signal)),
    },
  ])("$name, and what came meanwhile is still to be written", async ({ between }) => {
    store.loseNextAnswer();
    await expect(log.append([change("a")], signal)).rejects.toMatchObject({ retryable: true });
    await between();
    expect(await log.append([change("a"), change("b")], signal)).toBe(1);
    expect(await log.append([change("b")], signal)).toBe(1);
    expect((await targets()).filter((target) => target !== "other")).toEqual(["a", "b"]);
    expect(await inspect({ store, log })).toMatchObject({ problems: [] });
  });

  test("or not even stored is written once", async () => {
    store.goAway();
    await expect(log.append([change("a")], signal)).rejects.toMatchObject({ retryable: true });
    store.comeBack();
    await log.append([change("a")], signal);
    expect(await targets()).toEqual(["a"]);
  });
});

describe("a store that has lost the end of the log", () => {
  beforeEach(async () => {
    for (const target of ["a", "b", "c"]) await log.append([change(target)], signal);
    await log.remember();
    store.blocks.splice(1);
  });

  test.each([
    { name: "the hub that wrote it", open: async () => log },
    { name: "one that starts", open: restart },
  ])("is noticed by $name, before and after it goes on writing", async ({ open }) => {
    const own = await open();
    expect((await inspect({ store, log: own })).problems).toEqual(["entries 2 to 3 are missing before the signed end"]);
    await own.append([change("d")], signal).catch(() => own.append([change("d")], signal));
    const { problems, entries } = await inspect({ store, log: own });
    expect(problems).toEqual(["entry 2: the log had gone up to entry 3; its store has lost what came after entry 1"]);
    expect(entries.map(({ action }) => action)).toEqual(["cluster.update", "audit.lost", "cluster.update"]);
  });
});

test("what is no block of ours does not end the log, and is seen", async () => {
  await log.append([change("a")], signal);
  await store.append(new TextEncoder().encode("not a block"), { expectedLast: 1 });
  const again = await restart();
  await again.append([change("b")], signal);
  expect(await inspect({ store, log: again })).toMatchObject({ problems: ["a block that cannot be read"], last: 2n });
  expect(await targets(again)).toEqual(["a", "b"]);
});

describe("a part of the log", () => {
  beforeEach(async () => {
    for (let n = 0; n < 20; n++) await log.append([change(`${n}a`), change(`${n}b`)], signal);
  });

  test.each([
    { name: "after an entry", wanted: { after: 31n, follow: false }, blocks: 5 },
    { name: "the newest entries", wanted: { after: 0n, last: 4, follow: false }, blocks: 2 },
    { name: "nothing", wanted: { after: 40n, follow: false }, blocks: 0 },
    { name: "everything", wanted: { after: 0n, last: 100, follow: false }, blocks: 20 },
  ])("$name: $blocks blocks and the signed end", async ({ wanted, blocks }) => {
    let read = 0;
    for await (const _ of readLog({ store, log, clock: systemClock, signal }, wanted)) read += 1;
    expect(read).toBe(blocks + 1);
  });
});

test("what comes after an entry that there is not is refused", async () => {
  await log.append([change("a")], signal);
  const reading = readLog({ store, log, clock: systemClock, signal }, { after: 2n, follow: false }).next();
  await expect(reading).rejects.toMatchObject({ reason: "AUDIT_ENTRY_NOT_FOUND", code: "not-found" });
});

describe("the limits of the log", () => {
  const DAY_MS = 86_400_000;
  const nowMs = Date.now();
  const write = async (facts: ReturnType<typeof change>) => void (await log.append([facts], signal));
  beforeEach(async () => {
    for (let n = 0; n < 20; n++) await log.append([change(`${n}`)], signal);
  });

  test("nothing goes while it is young and small", async () => {
    expect(await trimLog({ store, limits: { maxAgeMs: DAY_MS, maxBytes: 1e9 }, write, nowMs })).toBe(0);
    expect(await inspect({ store, log })).toMatchObject({ problems: [], last: 20n });
  });

  test("the oldest go where it is too large, the log says so, and is whole", async () => {
    const { sizeBytes } = await store.status();
    expect(await trimLog({ store, limits: { maxAgeMs: DAY_MS, maxBytes: sizeBytes / 2 }, write, nowMs })).toBe(11);
    const { problems, first, entries } = await inspect({ store, log });
    expect({ problems, first, last: entries.at(-1) }).toMatchObject({
      problems: [],
      first: 12n,
      last: { action: "audit.trim", target: "audit.12" },
    });
  });

  test("all but the newest go where all is too old", async () => {
    await trimLog({ store, limits: { maxAgeMs: DAY_MS, maxBytes: 1e9 }, write, nowMs: nowMs + 2 * DAY_MS });
    expect(await inspect({ store, log })).toMatchObject({ problems: [], first: 20n, last: 21n });
  });

  test("whoever removes more than the hub has said is found", async () => {
    const { sizeBytes } = await store.status();
    await trimLog({ store, limits: { maxAgeMs: DAY_MS, maxBytes: sizeBytes / 2 }, write, nowMs });
    await store.trim(15);
    expect((await inspect({ store, log })).problems).toEqual([
      "entries 1 to 14 are missing, and the hub has not said that it removed them",
    ]);
  });
});
