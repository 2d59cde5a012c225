import { execFile } from "node:child_process";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyCheckout } from "../lab/copy-checkout.ts";
import { CHECKOUT } from "../lab/vm/run.ts";
import { shownCommand } from "./readmes.ts";

const run = promisify(execFile);

let directory: string;
let spanwire: string;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-bundle-"));
  // In a copy, because the demo may be running from what is built in the checkout.
  const copy = join(directory, "checkout");
  await copyCheckout(copy);
  await symlink(join(CHECKOUT, "node_modules"), join(copy, "node_modules"));
  const settings = {
    npm_config_prefix: directory,
    npm_config_offline: "true",
    npm_config_cache: join(directory, "cache"),
  };
  for (const command of [await shownCommand("npm run build"), await shownCommand("npm install -g")]) {
    await run("sh", ["-c", command], { cwd: copy, env: { ...process.env, ...settings } });
  }
  spanwire = join(directory, "bin/spanwire");
});
afterAll(() => rm(directory, { recursive: true, force: true }));

test("the package runs on Node 24 without a node_modules", async () => {
  const { stdout } = await run(process.execPath, [spanwire, "version", "--client", "-o", "json"], { cwd: directory });
  expect(JSON.parse(stdout)).toEqual({ client: "0.1.0", node: process.versions.node });
});

test("an older Node is told what to do", async () => {
  // bin/spanwire reads the version from process.versions; a loader that lies about it stands in for the older Node.
  const old =
    'data:text/javascript,Object.defineProperty(process,"versions",{value:{...process.versions,node:"20.0.0"}})';
  const outcome = run(process.execPath, ["--import", old, spanwire, "version"], { cwd: directory });
  await expect(outcome).rejects.toMatchObject({ code: 1, stderr: expect.stringContaining("needs Node 24 or newer") });
});
