import { SpanwireError } from "@spanwire/core/errors";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { expect, test } from "vitest";
import { createBreaker } from "./breaker.ts";
import { createCaller } from "./caller.ts";
import type { VaultResponse } from "./client.ts";

const backoff = { baseMs: 1_000, capMs: 8_000 };
const timeoutMs = 5_000;
const error = (reason: string) => new SpanwireError("unavailable", reason, { reason });
const request = { method: "GET", path: "x" } as const;
const answer = { status: 200, body: {}, errors: [] };

/** Each entry is what one sending comes to; "never" does not end by itself. After the last one all is well. */
function start(script: readonly ("never" | Error | VaultResponse)[]) {
  const clock = new FakeClock(1_000_000);
  const random = () => 0.5;
  const sent: number[] = [];
  let ends = 0;
  const breaker = createBreaker({ clock, random, backoff, trialMs: timeoutMs, onEnd: () => ends++ });
  const send = async (_request: unknown, _token: unknown, signal: AbortSignal): Promise<VaultResponse> => {
    sent.push(clock.now() - 1_000_000);
    const next = script[sent.length - 1] ?? answer;
    if (next === "never")
      return await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    if (next instanceof Error) throw next;
    return next;
  };
  const client = { address: "http://bao", send };
  const call = createCaller({ client, breaker, clock, random, timeoutMs, signal: new AbortController().signal });
  return { call: () => call(request), clock, sent, breaker, ends: () => ends };
}

const outcome = (promise: Promise<unknown>) =>
  promise.then(
    () => "answered",
    (reason: SpanwireError) => reason.reason,
  );

test("a broken connection is tried again, and no outage when that helps", async () => {
  const { call, clock, sent, breaker } = start([error("VAULT_UNREACHABLE"), error("VAULT_AWAY")]);
  const called = outcome(call());
  await clock.advance(1_000);
  expect(await called).toBe("answered");
  expect(sent).toEqual([0, 50, 150]);
  expect(breaker.outage).toBeUndefined();
});

test.each(["VAULT_SEALED", "VAULT_DENIED", "VAULT_FAILED"])("%s is told at once", async (reason) => {
  const { call, sent, breaker } = start([error(reason)]);
  expect(await outcome(call())).toBe(reason);
  expect(sent).toEqual([0]);
  expect(breaker.outage !== undefined).toBe(reason === "VAULT_SEALED");
});

test("no answer within the deadline is an outage; until the next trial nobody waits for it", async () => {
  const { call, clock, sent, breaker, ends } = start(["never"]);
  const slow = outcome(call());
  await clock.advance(timeoutMs);
  expect(await slow).toBe("VAULT_SLOW");
  expect(breaker.outage?.sinceMs).toBe(1_000_000 + timeoutMs);
  expect(await outcome(call())).toBe("VAULT_SLOW");
  expect(sent).toEqual([0]);
  await clock.advance(500);
  expect(await outcome(call())).toBe("answered");
  expect(breaker.outage).toBeUndefined();
  expect(ends()).toBe(1);
});

test("one at a time tries whether the outage has ended, ever more rarely", async () => {
  const { call, clock, sent } = start([error("VAULT_SEALED"), "never", error("VAULT_SEALED")]);
  await outcome(call());
  await clock.advance(500);
  const trial = outcome(call());
  expect(await outcome(call())).toBe("VAULT_SEALED");
  await clock.advance(timeoutMs);
  expect(await trial).toBe("VAULT_SLOW");
  for (let ms = 0; ms < 10_000; ms += 100) {
    await outcome(call());
    await clock.advance(100);
  }
  // The third of the failures rests for half of 4 s; after it all is well.
  const [, , third = 0, fourth = 0] = sent;
  expect(third - 5_500).toBe(1_000);
  expect(fourth - third).toBe(2_000);
});

test("a clock that is set back does not keep the breaker open", async () => {
  const { call, clock } = start([error("VAULT_SEALED")]);
  await outcome(call());
  clock.step(-3_600_000);
  expect(await outcome(call())).toBe("answered");
});
