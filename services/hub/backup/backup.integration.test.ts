import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DefaultLinks } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { natsServerPath } from "../../../test/lab/nats-server.ts";
import { hubConfigSchema } from "../config.ts";
import { CALL, createTestGateway, makeDirectory, type RunningHub, startHub } from "../testing.ts";
import { createBackup } from "./create-backup.ts";
import { restoreBackup } from "./restore-backup.ts";

let old: Awaited<ReturnType<typeof makeDirectory>>;
let fresh: Awaited<ReturnType<typeof makeDirectory>>;
let hub: RunningHub;
let path: string;
beforeEach(async () => {
  [old, fresh] = await Promise.all([makeDirectory(), makeDirectory()]);
  path = join(old.path, "backup");
  hub = await startHub({ dir: old.path });
});
afterEach(async () => {
  await hub.stop();
  await Promise.all([old, fresh].map((each) => each[Symbol.asyncDispose]()));
});

const backUp = () =>
  createBackup({
    dir: old.path,
    meshId: hub.ready.meshId,
    exported: hub.fleet.exportState({}, CALL),
    path,
    nowMs: Date.now(),
  });

async function restore(dir = fresh.path) {
  const binary = await natsServerPath();
  const config = hubConfigSchema.parse({ dir, listen: "127.0.0.1", nats: { port: 0, binary } });
  const signal = AbortSignal.timeout(60_000);
  const searchPath = dirname(binary);
  return restoreBackup({
    path,
    config,
    log: createRecordingLog(),
    clock: systemClock,
    random: () => 0.5,
    searchPath,
    signal,
  });
}

test("a mesh lives on in another directory: its gateways renew, its bans and its policy hold, unused tokens do not", async () => {
  const [stays, revoked] = [createTestGateway(), createTestGateway()];
  const token = await hub.token("eu");
  await stays.register(token, { prefixes: ["10.1.0.0/16"] });
  const used = await hub.token("us");
  await revoked.register(used, { prefixes: ["10.2.0.0/16"] });
  await hub.fleet.revokeCluster({ id: "us" }, CALL);
  await hub.fleet.setLinkPolicy({ policy: { defaultLinks: DefaultLinks.NONE } }, CALL);
  const unused = await hub.token("plant");
  const { status: before } = await hub.fleet.getStatus({}, CALL);
  const made = await backUp();
  expect(made.entries).toBeGreaterThan(8);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  await hub.stop();

  const restored = await restore();
  expect(restored).toMatchObject({ meshId: before?.meshId, written: made.entries });
  expect((await restore()).written).toBe(0);

  hub = await startHub({ dir: fresh.path });
  const { status: after } = await hub.fleet.getStatus({}, CALL);
  expect(after?.clusters).toEqual(before?.clusters);
  expect(after?.lineage).toBeGreaterThan(before?.lineage ?? 0n);
  expect((await hub.fleet.getLinkPolicy({}, CALL)).policy?.defaultLinks).toBe(DefaultLinks.NONE);
  const here = { hubAddress: hub.ready.registrationAddress };
  expect((await stays.renew({ ...token, ...here })).credentials?.meshId).toBe(before?.meshId);
  await expect(revoked.renew({ ...used, ...here })).rejects.toMatchObject({ code: "denied" });
  const again = revoked.register({ ...(await hub.token("us")), ...here });
  await expect(again).rejects.toMatchObject({ reason: "NKEY_REVOKED" });
  await expect(createTestGateway().register({ ...unused, ...here })).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
});

test("is not restored over another mesh, nor from a damaged file, nor written over another one", async () => {
  await backUp();
  await expect(backUp()).rejects.toThrow("the file exists; name another one");
  const other = await startHub({ dir: fresh.path });
  await other.stop();
  await expect(restore()).rejects.toMatchObject({ code: "conflict", reason: "NOT_EMPTY" });
  const whole = await readFile(path);
  for (const damaged of [whole.subarray(0, -1), Buffer.concat([whole, Buffer.from("x")]), Buffer.from("no backup")]) {
    await writeFile(path, damaged);
    await expect(restore(join(fresh.path, "new"))).rejects.toMatchObject({ code: "corrupt" });
  }
});

test("needs the hub's own directory", async () => {
  const elsewhere = createBackup({
    dir: fresh.path,
    meshId: "m",
    exported: hub.fleet.exportState({}, CALL),
    path,
    nowMs: 0,
  });
  await expect(elsewhere).rejects.toThrow("run it where the hub runs, with its --dir");
});

test("a backup without keys is for a hub that has them in Vault, and the other way round", async () => {
  const exported = hub.fleet.exportState({}, CALL);
  const made = await createBackup({ dir: undefined, meshId: hub.ready.meshId, exported, path, nowMs: Date.now() });
  expect(made).toMatchObject({ secrets: 0, entries: expect.any(Number) });
  await expect(restore()).rejects.toThrow(/holds no keys: they are in Vault; say where with --config/);
  expect(await readdir(fresh.path)).toEqual([]);
});
