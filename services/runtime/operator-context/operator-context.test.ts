import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Secret } from "@spanwire/core/identity/secret";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clientTlsOf } from "./client-tls.ts";
import { readOperatorContext, writeOperatorContext } from "./operator-context.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-context-"));
});
afterEach(() => rm(directory, { recursive: true }));

const place = {
  address: "127.0.0.1:7444",
  meshId: "mesh-test",
  authorityKey: new Uint8Array(32).fill(3),
  caPem: "-----BEGIN CERTIFICATE-----\nca",
};
const context = {
  ...place,
  certificatePem: "-----BEGIN CERTIFICATE-----\nleaf",
  privateKeyPem: new Secret(Buffer.from("-----BEGIN PRIVATE KEY-----\nkey")),
};

test("reads back what was written, to a file that only its owner reads", async () => {
  const path = join(directory, "context.json");
  await writeOperatorContext(path, context);
  const read = await readOperatorContext(path);
  expect(read).toEqual(context);
  expect("privateKeyPem" in read && read.privateKeyPem.equals(context.privateKeyPem)).toBe(true);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("one for a sign-in's tokens names their file, which is read anew for each call", async () => {
  const path = join(directory, "context.json");
  const bearerTokenFile = join(directory, "token");
  await writeOperatorContext(path, { ...place, bearerTokenFile });
  const read = await readOperatorContext(path);
  expect(read).toEqual({ ...place, bearerTokenFile });
  const { bearer } = clientTlsOf(read);
  for (const token of ["one", "two"]) {
    await writeFile(bearerTokenFile, `${token}\n`);
    expect(Buffer.from((await bearer?.())?.reveal() ?? "").toString()).toBe(token);
  }
});

test("says what to do when there is none", async () => {
  await expect(readOperatorContext(join(directory, "none"))).rejects.toThrow('start a hub with "spanwire up"');
});

test.each([
  { name: "no JSON", text: "sw1.token", want: "no JSON" },
  { name: "a missing field", text: JSON.stringify({ address: "a:1" }), want: "meshId" },
  { name: "an unknown field", text: JSON.stringify({ ...context, extra: 1 }), want: "not a context file" },
])("refuses $name without printing it", async ({ text, want }) => {
  const path = join(directory, "context.json");
  await writeFile(path, text);
  const error: Error = await readOperatorContext(path).then(
    () => expect.unreachable(),
    (thrown) => thrown,
  );
  expect(error.message).toContain(want);
  expect(error.message).not.toContain("sw1.");
});
