import { SpanwireError } from "@spanwire/core/errors";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { expect, onTestFinished, test } from "vitest";
import type { StoreFacts } from "./durability.ts";
import { followDurability } from "./follow-durability.ts";

const MINUTE_MS = 60_000;
const servers = ["n0", "n1", "n2"];

/** A cluster of three, in which servers are silent, lazy, or all of them away. */
async function follow(state: { silent?: string; lazy?: string; away?: boolean } = {}) {
  const clock = new FakeClock();
  const stop = new AbortController();
  const reconnect = Promise.withResolvers<void>();
  let asked = 0;
  async function* status() {
    await reconnect.promise;
    yield { type: "reconnect" };
  }
  const read = async (): Promise<StoreFacts> => {
    asked += 1;
    if (state.away) throw new SpanwireError("unavailable", "nobody there", { retryable: true });
    const saying = servers.filter((name) => name !== state.silent);
    const syncsAlways = new Map(saying.map((name) => [name, name !== state.lazy]));
    return { buckets: [{ bucket: "sw-map", servers }], syncsAlways };
  };
  const log = createRecordingLog();
  const options = { read, statuses: [status()], clock, random: () => 0.5, log, signal: stop.signal };
  const followed = await followDurability(options);
  onTestFinished(async () => {
    stop.abort();
    await followed.done;
  });
  await clock.asleep();
  const seen = () => followed.conditions().map(({ type, subject }) => `${type} ${subject}`);
  return { state, clock, seen, reconnect: () => reconnect.resolve(), asked: () => asked };
}

test("what changes while the hub runs is told within a minute, and no longer soon after it was mended", async () => {
  const { state, clock, seen } = await follow();
  expect(seen()).toEqual([]);
  state.lazy = "n1";
  await clock.advance(MINUTE_MS);
  expect(seen()).toEqual(["NotDurable n1"]);
  state.lazy = "";
  state.silent = "n2";
  await clock.advance(5_000);
  expect(seen()).toEqual(["DurabilityNotVerified n2"]);
  state.silent = "";
  await clock.advance(5_000);
  expect(seen()).toEqual([]);
});

test("after a reconnect it is asked at once", async () => {
  const { state, seen, reconnect } = await follow();
  state.silent = "n0";
  reconnect();
  await expect.poll(seen).toEqual(["DurabilityNotVerified n0"]);
});

test("it asks at the start, then once a minute", async () => {
  const { clock, asked } = await follow();
  expect(asked()).toBe(1);
  await clock.advance(10 * MINUTE_MS);
  expect(asked()).toBe(11);
});

test("while NATS is away, what was found last stays", async () => {
  const { state, clock, seen } = await follow({ silent: "n2" });
  state.away = true;
  await clock.advance(MINUTE_MS);
  expect(seen()).toEqual(["DurabilityNotVerified n2"]);
});

test("a store that is unfit at the start is refused", async () => {
  await expect(follow({ lazy: "n1" })).rejects.toMatchObject({ reason: "NOT_DURABLE" });
});
