import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { SpanwireError } from "@spanwire/core/errors";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Caller } from "./caller.ts";
import { startSession } from "./session.ts";

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-session-"));
  await writeFile(join(directory, "secret-id"), "6d1f0c9a-2c31-4d0e-9b35-1c7b0f3f6e11\n");
});
afterAll(() => rm(directory, { recursive: true }));

const HOUR_MS = 3_600_000;

/** A server whose tokens live for an hour, and at most for `longestMs` with all renewals. */
function start({ longestMs = 24 * HOUR_MS, isRenewable = true, random = () => 0.5 as number } = {}) {
  const clock = new FakeClock();
  const stopping = new AbortController();
  const asked: string[] = [];
  let logins = 0;
  let token = "";
  let madeAtMs = 0;
  let endsAtMs = 0;
  const grant = () => {
    endsAtMs = Math.min(clock.now() + HOUR_MS, madeAtMs + longestMs);
    const auth = { client_token: token, lease_duration: (endsAtMs - clock.now()) / 1_000, renewable: isRenewable };
    return { status: 200, body: { auth }, errors: [] };
  };
  const call: Caller = async ({ path }, shown) => {
    if (path !== "probe") asked.push(`${path}@${Math.ceil(clock.now() / 60_000)}`);
    if (path === "auth/approle/login") {
      token = `token-${++logins}`;
      madeAtMs = clock.now();
      return grant();
    }
    const isGood = clock.now() < endsAtMs && Buffer.from(shown?.reveal() ?? "").toString() === token;
    if (!isGood) throw new SpanwireError("denied", "permission denied", { reason: "VAULT_DENIED" });
    return path === "auth/token/renew-self" ? grant() : { status: 200, body: {}, errors: [] };
  };
  const session = startSession({
    call,
    login: {
      method: "approle",
      mount: "approle",
      roleId: "0a7bb4c8-5f6d-4c2e-9f2f-6ad3b8a2a001",
      secretIdFile: join(directory, "secret-id"),
    },
    probe: async (ask) => void (await ask({ method: "GET", path: "probe" })),
    clock,
    random,
    log: createRecordingLog(),
    signal: stopping.signal,
  });
  const stop = async () => {
    stopping.abort();
    await session.done;
  };
  /** Lets the file be read, then time pass in steps as small as the loop's own. */
  const pass = async (ms: number) => {
    await expect.poll(() => clock.sleeping.length).toBeGreaterThan(0);
    for (let passed = 0; passed < ms; passed += 60_000) {
      await clock.advance(60_000);
      await expect.poll(() => clock.sleeping.length).toBeGreaterThan(0);
    }
  };
  return { session, clock, asked, pass, stop, end: () => (endsAtMs = 0) };
}

test("logs in once for all who ask, and renews well before the token ends", async () => {
  const { session, asked, pass, stop } = start();
  await Promise.all([1, 2, 3].map(() => session.call({ method: "GET", path: "secret" })));
  await pass(2 * HOUR_MS);
  expect(asked).toEqual([
    "auth/approle/login@0",
    "secret@0",
    "secret@0",
    "secret@0",
    "auth/token/renew-self@36",
    "auth/token/renew-self@72",
    "auth/token/renew-self@108",
  ]);
  await stop();
});

test("two hubs that started together do not renew together", async () => {
  const [early, late] = [start({ random: () => 0 }), start({ random: () => 0.999 })];
  await Promise.all([early.pass(HOUR_MS), late.pass(HOUR_MS)]);
  expect(early.asked[1]).toBe("auth/token/renew-self@30");
  expect(Number(late.asked[1]?.split("@")[1])).toBeCloseTo(42, 0);
  await Promise.all([early.stop(), late.stop()]);
});

test("logs in anew before renewals give nothing more, and where there are none", async () => {
  const [bounded, fixed] = [start({ longestMs: 1.5 * HOUR_MS }), start({ isRenewable: false })];
  await Promise.all([bounded.pass(1.5 * HOUR_MS), fixed.pass(HOUR_MS)]);
  expect(bounded.asked).toEqual([
    "auth/approle/login@0",
    "auth/token/renew-self@36",
    "auth/token/renew-self@69",
    "auth/approle/login@69",
  ]);
  expect(fixed.asked).toEqual(["auth/approle/login@0", "auth/approle/login@36"]);
  await Promise.all([bounded.stop(), fixed.stop()]);
});

test("a token that ends in mid-operation is replaced, and the operation done", async () => {
  const { session, asked, end, stop } = start();
  await session.call({ method: "GET", path: "secret" });
  end();
  expect((await session.call({ method: "GET", path: "secret" })).status).toBe(200);
  expect(asked.slice(2)).toEqual(["secret@0", "auth/token/lookup-self@0", "auth/approle/login@0", "secret@0"]);
  await stop();
});
