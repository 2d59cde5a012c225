import { expect, test } from "vitest";
import { describeStateStore, follow } from "./contract.ts";
import { createFakeStateStore } from "./fake-state-store.ts";

describeStateStore("the fake state store", async () => ({
  store: createFakeStateStore(),
  async [Symbol.asyncDispose]() {},
}));

const bytes = new Uint8Array([1]);

test("is away and comes back with what it held", async () => {
  const store = createFakeStateStore();
  await store.map.put("epoch", bytes, { expectedRevision: 0 });
  await using watch = follow(store.map);
  await watch.next();
  await watch.next();
  store.goAway();
  await expect(watch.next()).rejects.toMatchObject({ code: "unavailable", retryable: true });
  await expect(store.map.get("epoch")).rejects.toMatchObject({ code: "unavailable" });
  store.comeBack();
  expect(await store.map.get("epoch")).toMatchObject({ revision: 1 });
});

test("rolls back to a copy, and says so only by its sequence", async () => {
  const store = createFakeStateStore();
  await store.map.put("epoch", bytes, { expectedRevision: 0 });
  const copy = store.mapStore.copy();
  await store.map.put("epoch", bytes, { expectedRevision: 1 });
  const before = await store.map.status();
  store.mapStore.rollBack(copy);
  expect(await store.map.status()).toEqual({ ...before, lastSequence: 1 });
  store.recreateMap();
  expect((await store.map.status()).created).not.toBe(before.created);
});
