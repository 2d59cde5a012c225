/** @module What every StateStore does: the suite that the real one and the fake both pass. */
import { describe, expect, test } from "vitest";
import type { Bucket, BucketEvent, StateStore } from "./port.ts";

export interface OpenedStore extends AsyncDisposable {
  /** Empty. */
  readonly store: StateStore;
}

export function describeStateStore(name: string, open: () => Promise<OpenedStore>): void {
  describe(name, () => {
    describe("map", () => {
      test("gives back what was put, under a revision that grows by one with each write", async () => {
        await using opened = await open();
        const { map } = opened.store;
        expect(await map.get("epoch")).toBeUndefined();
        expect(await map.put("epoch", text("one"), { expectedRevision: 0 })).toEqual({ ok: true, revision: 1 });
        expect(await map.put("gateway.eu.0", text("two"), { expectedRevision: 0 })).toEqual({ ok: true, revision: 2 });
        expect(await map.put("epoch", text("three"), { expectedRevision: 1 })).toEqual({ ok: true, revision: 3 });
        expect(await map.get("epoch")).toEqual({ key: "epoch", bytes: text("three"), revision: 3 });
        expect(await map.status()).toMatchObject({ lastSequence: 3, keys: 2 });
      });

      test("refuses a write whose expectation does not hold, and writes nothing", async () => {
        await using opened = await open();
        const { map } = opened.store;
        await map.put("epoch", text("one"), { expectedRevision: 0 });
        await map.put("mesh", text("other"), { expectedRevision: 0 });
        for (const expectedRevision of [0, 2, 7]) {
          const written = await map.put("epoch", text("late"), { expectedRevision });
          expect(written).toMatchObject({ ok: false, conflict: expect.stringContaining('"epoch"') });
        }
        expect(await map.get("epoch")).toMatchObject({ bytes: text("one"), revision: 1 });
        expect((await map.status()).lastSequence).toBe(2);
      });

      test("of two admissions made from the same view one is stored, also under different keys", async () => {
        await using opened = await open();
        const { map } = opened.store;
        expect(await map.lastClustersSequence()).toBe(0);
        await map.putCluster("cluster.eu", text("eu"), { expectedClustersSequence: 0 });
        await map.put("gateway.eu.0", text("statement"), { expectedRevision: 0 });
        expect(await map.lastClustersSequence()).toBe(1);
        const race = ["cluster.us", "cluster.asia"].map((key) =>
          map.putCluster(key, text(key), { expectedClustersSequence: 1 }),
        );
        expect((await Promise.all(race)).map(({ ok }) => ok).sort()).toEqual([false, true]);
        expect(await map.lastClustersSequence()).toBe(3);
      });

      test("an admission may not be written past the expectation on all clusters", async () => {
        await using opened = await open();
        const { map } = opened.store;
        await expect(map.putCluster("gateway.eu.0", text("x"), { expectedClustersSequence: 0 })).rejects.toThrow(
          /not that of an admission/,
        );
      });

      test("copies the whole bucket as of one sequence", async () => {
        await using opened = await open();
        const { map } = opened.store;
        expect(await map.entries()).toEqual({ sequence: 0, entries: [] });
        await map.put("b", text("1"), { expectedRevision: 0 });
        await map.put("a", text("2"), { expectedRevision: 0 });
        await map.put("b", text("3"), { expectedRevision: 1 });
        const { sequence, entries } = await map.entries();
        expect(sequence).toBe(3);
        expect(entries).toEqual([
          { key: "a", bytes: text("2"), revision: 2 },
          { key: "b", bytes: text("3"), revision: 3 },
        ]);
      });

      test("watches an empty bucket: current at once, then each change in order", async () => {
        await using opened = await open();
        const { map } = opened.store;
        await using watch = follow(map);
        expect(await watch.next()).toEqual({ kind: "current", sequence: 0 });
        await map.put("epoch", text("1"), { expectedRevision: 0 });
        expect(await watch.next()).toEqual({ kind: "put", entry: { key: "epoch", bytes: text("1"), revision: 1 } });
        await map.put("epoch", text("2"), { expectedRevision: 1 });
        expect(await watch.next()).toEqual({ kind: "put", entry: { key: "epoch", bytes: text("2"), revision: 2 } });
      });

      test("watches from what is there to what comes", async () => {
        await using opened = await open();
        const { map } = opened.store;
        await map.put("b", text("1"), { expectedRevision: 0 });
        await map.put("a", text("2"), { expectedRevision: 0 });
        await map.put("b", text("3"), { expectedRevision: 1 });
        await using watch = follow(map);
        expect([await watch.next(), await watch.next(), await watch.next()]).toEqual([
          { kind: "put", entry: { key: "a", bytes: text("2"), revision: 2 } },
          { kind: "put", entry: { key: "b", bytes: text("3"), revision: 3 } },
          { kind: "current", sequence: 3 },
        ]);
        await map.put("c", text("4"), { expectedRevision: 0 });
        expect(await watch.next()).toMatchObject({ kind: "put", entry: { key: "c", revision: 4 } });
      });

      test("a watch ends without an error when its signal aborts", async () => {
        await using opened = await open();
        await using watch = follow(opened.store.map);
        await watch.next();
        watch.stop();
        expect(await watch.next()).toBeUndefined();
      });
    });

    describe("registry", () => {
      test("creates, updates and deletes by compare-and-set", async () => {
        await using opened = await open();
        const { registry } = opened.store;
        expect(await registry.create("token.a", text("1"))).toEqual({ ok: true, revision: 1 });
        expect(await registry.create("token.a", text("2"))).toMatchObject({ ok: false });
        expect(await registry.update("token.a", text("2"), { expectedRevision: 9 })).toMatchObject({ ok: false });
        expect(await registry.update("token.a", text("2"), { expectedRevision: 1 })).toEqual({ ok: true, revision: 2 });
        expect(await registry.delete("token.a", { expectedRevision: 1 })).toMatchObject({ ok: false });
        expect(await registry.delete("token.a", { expectedRevision: 2 })).toEqual({ ok: true, revision: 3 });
        expect(await registry.get("token.a")).toBeUndefined();
        expect(await registry.list()).toEqual([]);
        expect(await registry.create("token.a", text("3"))).toEqual({ ok: true, revision: 4 });
        expect(await registry.delete("token.a")).toMatchObject({ ok: true });
      });

      test("one of many concurrent creators wins", async () => {
        await using opened = await open();
        const { registry } = opened.store;
        const race = Array.from({ length: 20 }, (_, n) => registry.create("claim.x", text(`${n}`)));
        const results = await Promise.all(race);
        const winner = results.findIndex(({ ok }) => ok);
        expect(results.filter(({ ok }) => ok)).toHaveLength(1);
        expect((await registry.get("claim.x"))?.bytes).toEqual(text(`${winner}`));
      });

      test("lists and watches by prefix", async () => {
        await using opened = await open();
        const { registry } = opened.store;
        await registry.create("token.b", text("b"));
        await registry.create("tokens", text("no"));
        await registry.create("token.a", text("a"));
        expect((await registry.list("token.")).map(({ key }) => key)).toEqual(["token.a", "token.b"]);

        await using watch = follow(registry, "token.");
        expect([await watch.next(), await watch.next(), (await watch.next())?.kind]).toMatchObject([
          { entry: { key: "token.b" } },
          { entry: { key: "token.a" } },
          "current",
        ]);
        await registry.create("setting", text("no"));
        await registry.delete("token.b");
        expect(await watch.next()).toEqual({ kind: "delete", key: "token.b", revision: 5 });
      });
    });

    test("status keeps the last word", async () => {
      await using opened = await open();
      const { status } = opened.store;
      await status.put("eu.0", text("1"));
      await status.put("eu.0", text("2"));
      await status.put("us.0", text("3"));
      expect((await status.get("eu.0"))?.bytes).toEqual(text("2"));
      expect((await status.list("eu.")).map(({ key }) => key)).toEqual(["eu.0"]);
    });

    test.each(["", "a b", "a.*", ">", ".a", "a.", "a..b", "ä"])("refuses the key %j", async (key) => {
      await using opened = await open();
      const { map, registry } = opened.store;
      await expect(map.get(key)).rejects.toMatchObject({ code: "invalid" });
      await expect(registry.create(key, text("x"))).rejects.toMatchObject({ code: "invalid" });
    });

    test.each(["a", "*.", ">"])("refuses the prefix %j", async (prefix) => {
      await using opened = await open();
      await expect(opened.store.map.list(prefix)).rejects.toMatchObject({ code: "invalid" });
    });
  });
}

/** Reads a watch step by step; `next` gives undefined at its end. */
export function follow(bucket: Bucket, prefix = "") {
  const controller = new AbortController();
  const events = bucket.watch({ prefix, signal: controller.signal })[Symbol.asyncIterator]();
  return {
    next: async (): Promise<BucketEvent | undefined> => (await events.next()).value,
    stop: () => controller.abort(),
    async [Symbol.asyncDispose]() {
      controller.abort();
      await events.return?.();
    },
  };
}

function text(content: string): Uint8Array {
  return new TextEncoder().encode(content);
}
