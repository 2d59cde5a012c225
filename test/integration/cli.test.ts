import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type HubProcess, startHubProcess } from "./hub-process.ts";

const SPANWIRE = join(import.meta.dirname, "../../services/cli/main.ts");

let hub: HubProcess;
beforeAll(async () => {
  hub = await startHubProcess();
});
afterAll(() => hub[Symbol.asyncDispose]());

describe("token", () => {
  test("is shown once, listed without its secret, and can be revoked", async () => {
    const created = await spanwire("token", "create", "eu", "--ttl", "30m");
    expect(created).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sw1\.[\w-]+\n$/) });
    expect(created.stderr).toContain("spanwire agent run");

    const listed = await spanwire("token", "list", "-o", "json");
    const { tokens } = JSON.parse(listed.stdout);
    expect(tokens).toMatchObject([{ clusterId: "eu", state: "TOKEN_STATE_UNUSED" }]);
    expect(listed.stdout).not.toContain(created.stdout.trim());

    expect(await spanwire("token", "revoke", tokens[0].id)).toMatchObject({ code: 0 });
    expect((await spanwire("token", "list")).stdout).toMatch(/eu +any +revoked/);
  });

  test.each([
    { args: ["create"], want: "missing required argument 'cluster'" },
    { args: ["create", "eu", "--ttl", "soon"], want: "write a number and a unit" },
    { args: ["create", "eu", "--ordinal", "16"], want: "from 0 to 15" },
  ])("$args is wrong usage", async ({ args, want }) => {
    expect(await spanwire("token", ...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(want) });
  });

  test.each([
    { args: ["create", "Not_A_Label"], code: 2 },
    { args: ["create", "eu", "--ttl", "8d"], code: 2 },
    { args: ["revoke", "aaaaaaaaaaaaaaaa"], code: 4 },
  ])("the hub's answer to $args has exit code $code", async ({ args, code }) => {
    expect(await spanwire("token", ...args)).toMatchObject({ code, stderr: expect.stringMatching(/^spanwire: /) });
  });
});

describe("link", () => {
  test("a dry run writes nothing; a change is listed afterwards", async () => {
    const rule = ["link", "set", "shop", "--left", "eu", "--right", "us", "--allow", "left->right tcp 443"];
    expect((await spanwire(...rule, "--dry-run")).stdout).toContain("nothing was written");
    expect((await spanwire("link", "list")).stdout).toContain("no links are named");
    expect(await spanwire(...rule)).toMatchObject({ code: 0 });
    expect((await spanwire("link", "list")).stdout).toMatch(/shop +eu +us +left->right tcp 443/);
    expect(await spanwire("link", "set", "--default", "none")).toMatchObject({ code: 0 });
    expect((await spanwire("link", "list")).stdout).toContain("every other pair: not linked");
    expect(await spanwire("link", "remove", "shop")).toMatchObject({ code: 0 });
  });
});

describe("what there is", () => {
  test.each([
    { args: ["cluster", "list"], want: "no clusters have joined" },
    { args: ["status"], want: /mesh mesh-\w+ +map \d+\.\d+/ },
    { args: ["version"], want: /hub 0\.1\.0, mesh mesh-\w+, nats-server 2\./ },
    { args: ["cluster", "list", "-o", "yaml"], want: "{}" },
    { args: ["plan"], want: "" },
  ])("$args", async ({ args, want }) => {
    expect(await spanwire(...args)).toMatchObject({
      code: 0,
      stdout: typeof want === "string" ? expect.stringContaining(want) : expect.stringMatching(want),
    });
  });

  test.each([
    ["cluster", "show", "nowhere"],
    ["cluster", "revoke", "nowhere"],
    ["cluster", "delete", "nowhere"],
    ["plan", "nowhere"],
  ])("%s %s %s is refused", async (...args) => {
    expect(await spanwire(...args)).toMatchObject({ code: 4 });
  });
});

test("a hub that is away has an exit code of its own", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spanwire-cli-"));
  const away = await startHubProcess();
  const context = away.contextFile;
  await away.end("SIGKILL");
  const outcome = await run(["--context", context, "cluster", "list"]);
  expect(outcome).toMatchObject({ code: 3 });
  await away[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

test("a second start goes on where the first one ended, and SIGTERM ends it cleanly", async () => {
  await using again = await startHubProcess();
  const { meshId } = await again.context();
  await again.end("SIGTERM");
  await again.start();
  expect((await again.context()).meshId).toBe(meshId);
});

async function spanwire(...args: readonly string[]) {
  return run(["--context", hub.contextFile, ...args]);
}

async function run(args: readonly string[]) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [SPANWIRE, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
