import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFakeStateStore, type FakeStateStore } from "./fake-state-store.ts";
import { by, followMap, online, signerFrom, type TestHubMap, writeRecords } from "./testing.ts";

const never = new AbortController().signal;
const eu0 = signerFrom(10);

async function storeWithEu(): Promise<FakeStateStore> {
  const store = createFakeStateStore();
  await writeRecords(store, {
    delegation: await by.delegation(online),
    "cluster.eu": await by.admission("eu", [eu0]),
    "gateway.eu.0": await by.statement(eu0, "eu"),
  });
  return store;
}

/** What the hub holds and what the store holds, to compare. */
async function stored(store: FakeStateStore): Promise<Map<string, Uint8Array>> {
  return new Map((await store.map.list()).map(({ key, bytes }) => [key, bytes]));
}

function held({ map }: TestHubMap): Map<string, Uint8Array> {
  return new Map([...map.records.records()].map(({ key, bytes }) => [key, bytes]));
}

describe("follows the store", () => {
  test("from what is there to what comes, whatever was written first", async () => {
    const store = await storeWithEu();
    await writeRecords(store, { "cluster.eu": await by.admission("eu", [eu0], { generation: 2n }) }); // now the last
    await using hub = followMap(store);
    await hub.map.whenCurrent(never);
    expect([...held(hub).keys()].sort()).toEqual(["cluster.eu", "delegation", "gateway.eu.0"]);
    expect(hub.map).toMatchObject({ sequence: 4, clustersSequence: 4, lineage: 1_000n });
    expect(hub.map.revisionOf("gateway.eu.0")).toBe(3);
    expect(hub.map.revisionOf("gateway.eu.1")).toBe(0);

    const accepted: string[] = [];
    hub.map.onAccepted(({ key }) => accepted.push(key));
    await writeRecords(store, { "gateway.eu.0": await by.statement(eu0, "eu", { generation: 2n }) });
    await hub.map.waitFor(5, never);
    expect(hub.map).toMatchObject({ sequence: 5, clustersSequence: 4 });
    expect(accepted).toEqual(["gateway.eu.0"]);
    expect(hub.incidents).toEqual([]);
  });

  test("an empty store is current, too", async () => {
    await using hub = followMap(createFakeStateStore());
    await hub.map.whenCurrent(never);
    expect(hub.map.snapshot()).toMatchObject({ lineage: 1_000n, sequence: 0, entries: [] });
  });

  test("snapshots are one object until the next change, and never change themselves", async () => {
    const store = await storeWithEu();
    await using hub = followMap(store);
    await hub.map.whenCurrent(never);
    const first = hub.map.snapshot();
    expect(hub.map.snapshot()).toBe(first);
    expect(first.entries.map(({ key }) => key)).toEqual(["delegation", "cluster.eu", "gateway.eu.0"]);
    await writeRecords(store, { "cluster.us": await by.admission("us", []) });
    await hub.map.waitFor(4, never);
    expect(first).toMatchObject({ sequence: 3, entries: { length: 3 } });
    expect(hub.map.snapshot()).toMatchObject({ sequence: 4, entries: { length: 4 } });
    expect(hub.map.snapshot().digest).not.toEqual(first.digest);
  });

  test("what nobody may say is reported and not served", async () => {
    const store = await storeWithEu();
    const forged = await by.sign(eu0, { key: "epoch", incarnation: 1n, generation: 1n });
    await writeRecords(store, { epoch: forged, "cluster.x": new Uint8Array([1, 2, 3]) });
    await using hub = followMap(store);
    await hub.map.whenCurrent(never);
    expect(hub.incidents.map((each) => (each.kind === "refused" ? `${each.key} ${each.reason}` : each.kind))).toEqual([
      "epoch UNKNOWN_SIGNER",
      "cluster.x MALFORMED",
    ]);
    expect(hub.map.snapshot().entries.map(({ key }) => key)).toEqual(["delegation", "cluster.eu", "gateway.eu.0"]);
    await hub.settle();
    expect((await store.map.status()).lastSequence).toBe(5);
  });

  test("an outage changes nothing", async () => {
    const store = await storeWithEu();
    await using hub = followMap(store);
    await hub.map.whenCurrent(never);
    store.goAway();
    await hub.settle();
    expect(held(hub).size).toBe(3);
    store.comeBack();
    await writeRecords(store, { "cluster.us": await by.admission("us", []) });
    await hub.settle();
    expect(hub.map).toMatchObject({ isCurrent: true, sequence: 4, lineage: 1_000n });
    expect(hub.incidents.filter(({ kind }) => kind !== "unavailable")).toEqual([]);
  });

  test("waits end with their signal", async () => {
    await using hub = followMap(createFakeStateStore());
    const reason = new Error("closing");
    await expect(hub.map.waitFor(9, AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});

describe("puts back what the store lost", () => {
  test("a deleted key, without a new lineage", async () => {
    const store = await storeWithEu();
    await using hub = followMap(store);
    await hub.map.whenCurrent(never);
    store.mapStore.write("gateway.eu.0", undefined);
    await hub.settle();
    expect(await stored(store)).toEqual(held(hub));
    expect(hub.incidents).toEqual([{ kind: "lost", keys: ["gateway.eu.0"] }]);
    expect(hub.map).toMatchObject({ sequence: 5, lineage: 1_000n });
  });

  test.each<{ name: string; damage: (store: FakeStateStore) => void }>([
    { name: "a purged key", damage: (store) => store.mapStore.purge("cluster.eu") },
    { name: "a store made anew", damage: (store) => store.recreateMap() },
    {
      name: "both buckets made anew",
      damage: (store) => {
        store.recreateMap();
        store.registryStore.rollBack();
      },
    },
    { name: "an emptied store that says it is the same", damage: (store) => store.mapStore.rollBack() },
  ])("$name, in a new lineage", async ({ damage }) => {
    const store = await storeWithEu();
    await using hub = followMap(store);
    await hub.map.whenCurrent(never);
    damage(store);
    await hub.settle();
    expect(await stored(store)).toEqual(held(hub));
    expect(held(hub).size).toBe(3);
    expect(hub.map.lineage).toBeGreaterThan(1_000n);
    expect(hub.incidents.filter(({ kind }) => kind === "lineage")).toHaveLength(1);
  });

  test("a store rolled back and written to since, so that its sequence tells nothing", async () => {
    const store = await storeWithEu();
    await using hub = followMap(store);
    await hub.map.whenCurrent(never);
    const old = store.mapStore.copy();
    await writeRecords(store, { "cluster.eu": await by.admission("eu", [eu0], { generation: 2n }) });
    await hub.map.waitFor(4, never);
    store.mapStore.rollBack(old);
    for (const id of ["x", "y", "z"]) await writeRecords(store, { [`cluster.${id}`]: await by.admission(id, []) });
    await hub.settle();
    expect(await stored(store)).toEqual(held(hub));
    expect(hub.map.records.get("cluster.eu")?.order.generation).toBe(2n);
    expect(hub.map.lineage).toBeGreaterThan(1_000n);
  });

  test("of several hubs each puts back, and the lineage grows once", async () => {
    const store = await storeWithEu();
    await using first = followMap(store);
    await using second = followMap(store);
    await Promise.all([first.map.whenCurrent(never), second.map.whenCurrent(never)]);
    store.mapStore.rollBack();
    for (let round = 0; round < 3; round++) await Promise.all([first.settle(), second.settle()]);
    expect(await stored(store)).toEqual(held(first));
    expect(held(first)).toEqual(held(second));
    expect(first.map.lineage).toBe(second.map.lineage);
    expect([...first.incidents, ...second.incidents].filter(({ kind }) => kind === "lineage")).toHaveLength(2);
  });

  test("garbage over a record", async () => {
    const store = await storeWithEu();
    await using hub = followMap(store);
    await hub.map.whenCurrent(never);
    await writeRecords(store, { "gateway.eu.0": new Uint8Array([1]) });
    await hub.settle();
    expect(await stored(store)).toEqual(held(hub));
    expect(hub.map.lineage).toBe(1_000n);
  });
});

type Step =
  | { readonly kind: "write"; readonly cluster: number; readonly generation: number }
  | { readonly kind: "delete" | "purge" | "garbage"; readonly cluster: number }
  | { readonly kind: "copy" | "roll-back" | "recreate" | "away" | "settle" };

const cluster = fc.nat(3);
const anySteps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({ kind: fc.constant("write" as const), cluster, generation: fc.integer({ min: 1, max: 9 }) }),
    fc.record({ kind: fc.constantFrom("delete" as const, "purge" as const, "garbage" as const), cluster }),
    fc.record({
      kind: fc.constantFrom(
        "copy" as const,
        "roll-back" as const,
        "recreate" as const,
        "away" as const,
        "settle" as const,
      ),
    }),
  ),
  { maxLength: 20 },
);

test("whatever is done to the store, two hubs end with it holding what they hold; no order and no lineage ever falls", async () => {
  await fc.assert(
    fc.asyncProperty(anySteps, async (steps) => {
      const store = createFakeStateStore();
      let copy = store.mapStore.copy();
      await using first = followMap(store);
      await using second = followMap(store);
      const orders = new Map<string, bigint>();
      let lineage = 0n;
      await first.map.whenCurrent(never);

      for (const step of [...steps, { kind: "settle" } as const, { kind: "settle" } as const]) {
        await perform(step);
        for (const { key, order } of first.map.records.records()) {
          expect(order.generation).toBeGreaterThanOrEqual(orders.get(key) ?? 0n);
          orders.set(key, order.generation);
        }
        expect(first.map.lineage).toBeGreaterThanOrEqual(lineage);
        lineage = first.map.lineage;
      }
      expect(held(first)).toEqual(held(second));
      expect(first.map.records.digest()).toEqual(second.map.records.digest());
      const kept = await stored(store);
      for (const [key, bytes] of held(first)) expect(kept.get(key)).toEqual(bytes);

      async function perform(step: Step): Promise<void> {
        const key = "cluster" in step ? `cluster.c${step.cluster}` : "";
        switch (step.kind) {
          case "write": {
            const { generation } = step;
            const bytes = await by.admission(`c${step.cluster}`, [], { generation: BigInt(generation) });
            return void (await writeRecords(store, { [key]: bytes }));
          }
          case "garbage":
            return void (await writeRecords(store, { [key]: new Uint8Array([1]) }));
          case "delete":
            return void store.mapStore.write(key, undefined);
          case "purge":
            return store.mapStore.purge(key);
          case "copy":
            copy = store.mapStore.copy();
            return;
          case "roll-back":
            return store.mapStore.rollBack(copy);
          case "recreate":
            return store.recreateMap();
          case "away":
            store.goAway();
            await Promise.all([first.settle(), second.settle()]);
            return store.comeBack();
          case "settle":
            for (let round = 0; round < 2; round++) await Promise.all([first.settle(), second.settle()]);
            return;
          default:
            step satisfies never;
        }
      }
    }),
    { numRuns: 200 },
  );
});
