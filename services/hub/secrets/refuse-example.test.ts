import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { refuseExample } from "./refuse-example.ts";

test.each([
  "",
  "change-me",
  "CHANGEME-CHANGEME",
  "replace_me_with_a_real_one",
  "example-secret-id-0001",
  "<paste the secret id here>",
  "your-secret-id-goes-here",
  "placeholder-placeholder",
  "xxxxxxxxxxxxxxxxxxxx",
  "********************",
  "00000000-0000-0000-0000-000000000000",
  "root",
  "hunter2",
])("%j is nobody's credential", (text) => {
  expect(() => refuseExample(text, "secretId")).toThrow(/^secretId: it .*: put the credential there that was made/);
});

test.each([
  "6d1f0c9a-2c31-4d0e-9b35-1c7b0f3f6e11",
  "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln",
])("%j may be one", (text) => {
  expect(refuseExample(text, "secretId")).toBe(text);
});

const ROOT = join(import.meta.dirname, "../../..");
const FOLDERS = ["services", "agents", "deploy", "proto/spanwire"];
/** What a credential looks like: a private key, a token of Vault, a seed of NATS, a JWT with a signature, a UUID. */
const CREDENTIAL =
  /-----BEGIN [A-Z ]*PRIVATE KEY-----\s*[A-Za-z0-9+/=]|\b(hv)?s\.[A-Za-z0-9]{24,}|\bS[OAU][A-Z2-7]{56}\b|\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/;

test("no source, example or set-up file holds anything that looks like a credential", async () => {
  const files: string[] = [];
  for (const folder of FOLDERS) {
    for (const entry of await readdir(join(ROOT, folder), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const isOurs = !/node_modules|\/dist\/|\.test\.ts$|\/testdata\//.test(path);
      if (entry.isFile() && isOurs) files.push(path);
    }
  }
  expect(files.length).toBeGreaterThan(200);
  const found: string[] = [];
  for (const file of files) if (CREDENTIAL.test(await readFile(file, "utf8"))) found.push(file);
  expect(found).toEqual([]);
});
