import { setTimeout } from "node:timers/promises";
import { SpanwireError } from "@spanwire/core/errors";
import { expect, test } from "vitest";
import { startTestServer } from "./test-server.ts";

const chunk = new Uint8Array(64 * 1024);

test("a stream arrives whole and in order, and ends", async () => {
  await using server = await startTestServer({
    async *exportState() {
      for (let n = 0; n < 1_000; n++) yield { key: String(n) };
    },
  });
  const keys: string[] = [];
  for await (const { key } of server.client.exportState({})) keys.push(key);
  expect(keys).toEqual(Array.from({ length: 1_000 }, (_, n) => String(n)));
});

test("a slow reader holds the producer back, and loses nothing", async () => {
  let produced = 0;
  await using server = await startTestServer({
    async *exportState() {
      for (; produced < 400; produced++) yield { key: String(produced), value: chunk };
    },
  });
  const stream = server.client.exportState({});
  await stream.next();
  // The producer stands still once all buffers on the way are full: the count is the same a while later.
  const stoodStill = async () => {
    const before = produced;
    await setTimeout(100);
    return produced === before;
  };
  await expect.poll(stoodStill).toBe(true);
  expect(produced).toBeLessThan(200);
  let last = "";
  for await (const { key } of stream) last = key;
  expect(last).toBe("399");
});

test("a reader that stops ends the producer", async () => {
  const ended = Promise.withResolvers<unknown>();
  await using server = await startTestServer({
    async *exportState(_, { signal }) {
      try {
        for (let n = 0; ; n++) yield { key: String(n), value: chunk };
      } finally {
        ended.resolve(signal.reason);
      }
    },
  });
  for await (const { key } of server.client.exportState({})) if (key === "3") break;
  expect(await ended.promise).toMatchObject({ reason: "CANCELLED" });
  expect(server.log.events).toEqual([]);
});

test("a reader that aborts gets its reason; a producer that waits is woken by its signal", async () => {
  const ended = Promise.withResolvers<void>();
  await using server = await startTestServer({
    async *exportState(_, { signal }) {
      yield { key: "first" };
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      ended.resolve();
    },
  });
  const controller = new AbortController();
  const reason = new Error("reader stops");
  const stream = server.client.exportState({}, { signal: controller.signal });
  expect((await stream.next()).value?.key).toBe("first");
  const next = stream.next();
  controller.abort(reason);
  await expect(next).rejects.toBe(reason);
  await ended.promise;
});

test("an error after some messages comes after them", async () => {
  await using server = await startTestServer({
    async *exportState() {
      yield { key: "first" };
      throw new SpanwireError("corrupt", "the second is damaged", { reason: "RECORD_DAMAGED" });
    },
  });
  const stream = server.client.exportState({});
  expect((await stream.next()).value?.key).toBe("first");
  await expect(stream.next()).rejects.toMatchObject({ code: "corrupt", reason: "RECORD_DAMAGED" });
});

test("a stream with a deadline ends by it", async () => {
  await using server = await startTestServer({
    async *exportState(_, { signal }) {
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      yield {};
    },
  });
  const stream = server.client.exportState({}, { timeoutMs: 50 });
  await expect(stream.next()).rejects.toMatchObject({ reason: "DEADLINE_EXCEEDED" });
});

test("many streams at once, each read a little and left, leave nothing open", async () => {
  let open = 0;
  await using server = await startTestServer({
    async *exportState() {
      open++;
      try {
        for (let n = 0; ; n++) yield { key: String(n) };
      } finally {
        open--;
      }
    },
  });
  for (let round = 0; round < 5; round++) {
    await Promise.all(
      Array.from({ length: 50 }, async () => {
        for await (const { key } of server.client.exportState({})) if (key === "2") break;
      }),
    );
    await expect.poll(() => open).toBe(0);
  }
  expect(server.log.events).toEqual([]);
});
