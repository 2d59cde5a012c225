import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { afterEach, beforeEach, expect, test } from "vitest";
import { openAuthority } from "./authority/authority.ts";
import { writeOperatorAccess } from "./operator-access.ts";
import { serialOf } from "./operators/operator-record.ts";
import { listOperators, revokeOperators } from "./operators/operator-registry.ts";
import { createFakeSecretStore } from "./secrets/fake-secret-store.ts";
import { createFakeStateStore } from "./state/fake-state-store.ts";

const DAY_MS = 86_400_000;
const START_MS = 1_790_000_000_000;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-access-"));
});
afterEach(() => rm(directory, { recursive: true }));

/** A hub that starts again and again; gives the serial number in its file, and the address. */
async function startOften() {
  const clock = new FakeClock(START_MS);
  const authority = await openAuthority(createFakeSecretStore(), { nowMs: START_MS, randomBytes });
  const path = join(directory, "context.json");
  let { registry } = createFakeStateStore();
  let port = 7_000;
  return {
    clock,
    path,
    registry: () => registry,
    loseStore: () => ({ registry } = createFakeStateStore()),
    async start(): Promise<string> {
      port += 1;
      await writeOperatorAccess({ authority, registry, address: `127.0.0.1:${port}`, path, clock });
      const context = await readOperatorContext(path);
      expect(context.address).toBe(`127.0.0.1:${port}`);
      return "certificatePem" in context ? serialOf(context.certificatePem) : "none";
    },
  };
}

test("a start keeps the certificate of the one before, and exchanges it when half of its year is over", async () => {
  const hub = await startOften();
  const first = await hub.start();
  expect(await hub.start()).toBe(first);
  await hub.clock.advance(180 * DAY_MS);
  expect(await hub.start()).toBe(first);
  await hub.clock.advance(5 * DAY_MS);
  const second = await hub.start();
  expect(second).not.toBe(first);
  expect((await listOperators(hub.registry())).map(({ serial }) => serial)).toEqual([first, second]);
});

test("one that lets nobody in any more is exchanged: revoked, unknown to the store, or damaged", async () => {
  const hub = await startOften();
  const first = await hub.start();
  await revokeOperators(hub.registry(), { serial: first }, START_MS);
  const second = await hub.start();
  hub.loseStore();
  const third = await hub.start();
  await writeFile(hub.path, "{");
  const fourth = await hub.start();
  expect(new Set([first, second, third, fourth]).size).toBe(4);
  expect(await hub.start()).toBe(fourth);
});
