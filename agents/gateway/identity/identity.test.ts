import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect } from "node:util";
import { writeState } from "@spanwire/runtime/files/state-file";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ensureIdentity } from "./gateway-identity.ts";
import { destroyEpochKey, ensureEpochKey, listEpochKeys } from "./wireguard-keys.ts";

let directory: string;
beforeEach(async () => {
  directory = join(await mkdtemp(join(tmpdir(), "spanwire-identity-")), "state");
});
afterEach(() => rm(join(directory, ".."), { recursive: true, force: true }));

test("makes the identity once; each later start has the same one", async () => {
  const first = await ensureIdentity(directory);
  const again = await ensureIdentity(directory);
  expect(again.signer.publicKey).toEqual(first.signer.publicKey);
  expect(again.nkey.publicKey).toBe(first.nkey.publicKey);
  expect(first.nkey.publicKey).toMatch(/^U[A-Z2-7]{55}$/);
  expect(first.nkey.publicKey).not.toContain(Buffer.from(first.signer.publicKey).toString("base64"));
});

test("keys are private files in a private directory and have no string form", async () => {
  const identity = await ensureIdentity(directory);
  const key = await ensureEpochKey(directory, 0n);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
  const printed = inspect({ identity, key }, { depth: 9, showHidden: true });
  for (const secret of [identity.privateKey, key.privateKey]) {
    expect(printed).not.toContain(Buffer.from(secret.reveal()).toString("base64"));
    expect(printed).not.toContain(inspect(secret.reveal()));
  }
});

test("each epoch has a key of its own, on alternating planes", async () => {
  const keys = await Promise.all([0n, 1n, 2n].map((epoch) => ensureEpochKey(directory, epoch)));
  expect(keys.map(({ plane }) => plane)).toEqual(["a", "b", "a"]);
  expect(new Set(keys.map(({ publicKey }) => publicKey)).size).toBe(3);
  expect((await ensureEpochKey(directory, 1n)).publicKey).toBe(keys[1]?.publicKey);
});

test("lists the keys that there are, and none before the first", async () => {
  expect(await listEpochKeys(directory)).toEqual([]);
  for (const epoch of [10n, 9n]) await ensureEpochKey(directory, epoch);
  expect((await listEpochKeys(directory)).map(({ epoch }) => epoch)).toEqual([9n, 10n]);
});

test("of a destroyed key nothing is left, not even what a crash has left; the others stay", async () => {
  const [gone, kept] = [await ensureEpochKey(directory, 1n), await ensureEpochKey(directory, 11n)];
  await writeFile(join(directory, "wireguard-1.key.new"), gone.privateKey.reveal());
  await destroyEpochKey(directory, 1n);
  expect(await readdir(directory)).toEqual(["wireguard-11.key"]);
  expect((await ensureEpochKey(directory, 11n)).publicKey).toBe(kept.publicKey);
  await destroyEpochKey(directory, 1n); // again, as after a crash
  expect((await ensureEpochKey(directory, 1n)).publicKey).not.toBe(gone.publicKey);
});

test("a key that cannot be destroyed is an error that may pass", async () => {
  await mkdir(join(directory, "wireguard-1.key"), { recursive: true }); // no file, and so not to be written
  await expect(destroyEpochKey(directory, 1n)).rejects.toMatchObject({ code: "unavailable" });
});

test.each(["identity.key", "nats.key"])("a damaged %s is an error and never a new identity", async (name) => {
  await ensureIdentity(directory);
  const path = join(directory, name);
  const whole = await readFile(path);
  for (let at = 0; at < whole.length; at++) {
    const damaged = Buffer.from(whole);
    damaged[at] = (damaged[at] ?? 0) ^ 1;
    await writeFile(path, damaged);
    await expect(ensureIdentity(directory)).rejects.toMatchObject({ code: "corrupt" });
    await writeFile(path, whole.subarray(0, at));
    await expect(ensureIdentity(directory)).rejects.toMatchObject({ code: "corrupt" });
  }
  expect(await readFile(path)).toEqual(whole.subarray(0, -1));
});

test("a key of another length is an error", async () => {
  await ensureIdentity(directory);
  await writeState(join(directory, "identity.key"), new Uint8Array(31));
  await expect(ensureIdentity(directory)).rejects.toThrow("31 bytes instead of 32");
});
