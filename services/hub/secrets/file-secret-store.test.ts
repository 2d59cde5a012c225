import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "@spanwire/core/identity/secret";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeSecretStore } from "./contract.ts";
import { createFakeSecretStore } from "./fake-secret-store.ts";
import { listFileSecrets, openFileSecretStore } from "./file-secret-store.ts";

let parent: string;
beforeAll(async () => {
  parent = await mkdtemp(join(tmpdir(), "spanwire-secrets-"));
});
afterAll(() => rm(parent, { recursive: true }));

let count = 0;
const newDirectory = () => join(parent, `${count++}`, "secrets");

describeSecretStore("the fake secret store", async () => createFakeSecretStore());
describeSecretStore("the file secret store", () => openFileSecretStore(newDirectory()));

const secret = new Secret(new TextEncoder().encode("s3cret"));

test("nobody else may read a file, and nothing is left beside them", async () => {
  const directory = newDirectory();
  const store = await openFileSecretStore(directory);
  await store.create("root-key", secret);
  await store.create("root-key", secret);
  expect(await readdir(directory)).toEqual(["root-key"]);
  expect((await stat(directory)).mode & 0o777).toBe(0o700);
  expect((await stat(join(directory, "root-key"))).mode & 0o777).toBe(0o600);
});

test("a directory that others may open is refused", async () => {
  const directory = newDirectory();
  await openFileSecretStore(directory);
  await chmod(directory, 0o755);
  await expect(openFileSecretStore(directory)).rejects.toThrow(/chmod 0700/);
});

test("a key that was replaced is on the disk no more, and its name is listed once", async () => {
  const directory = newDirectory();
  const store = await openFileSecretStore(directory);
  const next = new Secret(new TextEncoder().encode("n3xt"));
  await store.create("root-key", secret);
  await store.replace("root-key", { present: secret, next });
  await store.replace("root-key", { present: next, next: secret });
  const contents = await Promise.all((await readdir(directory)).sort().map((name) => readFile(join(directory, name))));
  expect(contents.map(({ length }) => length > 0)).toEqual([false, false, true]);
  expect(await listFileSecrets(directory)).toEqual(["root-key"]);
});

test("a damaged file is an error, not a first start", async () => {
  const directory = newDirectory();
  const store = await openFileSecretStore(directory);
  await store.create("root-key", secret);
  const path = join(directory, "root-key");
  const content = await readFile(path);
  content[content.length - 1] = (content.at(-1) ?? 0) ^ 1;
  await writeFile(path, content);
  await expect(store.read("root-key")).rejects.toMatchObject({ code: "corrupt" });
  await expect(store.create("root-key", secret)).resolves.toBe(false);
});
