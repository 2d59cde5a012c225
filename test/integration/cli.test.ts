import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseInvite } from "@spanwire/core/identity/invite";
import { createTestIssuer } from "@spanwire/hub/oidc/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import { eventually } from "../demo/eventually.ts";
import { natsServerPath } from "../lab/nats-server.ts";
import { type HubProcess, startHubProcess } from "./hub-process.ts";
import { joinMember, type Member } from "./member.ts";
import { runCli } from "./run-cli.ts";

const SPANWIRE = join(import.meta.dirname, "../../services/cli/main.ts");

const CALL_LIMIT_MS = 60_000;

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

describe("cluster invite", () => {
  const account = ["--service-account", "spanwire/gateway"];
  let keys: string;
  let directory: string;
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "spanwire-cli-"));
    keys = join(directory, "keys.json");
    await writeFile(keys, (await createTestIssuer("ES256", "key-1")).jwks);
  });
  afterAll(() => rm(directory, { recursive: true }));

  test("prints the chart's value, in which nothing is secret; is listed, and withdrawn", async () => {
    const invited = await spanwire("cluster", "invite", "eu", "--jwks", keys, ...account);
    expect(invited).toMatchObject({ code: 0, stdout: expect.stringMatching(/^--set hub\.invite=swi1\.[\w-]+\n$/) });
    const again = await spanwire("cluster", "invite", "eu", "--jwks", keys, ...account, "-o", "json");
    const { invite, info } = JSON.parse(again.stdout);
    expect(invited.stdout).toContain(invite);
    expect(parseInvite(invite)).toMatchObject({ clusterId: "eu", hubAddress: expect.stringContaining("127.0.0.1:") });
    expect(info.issuer).toMatchObject({ audience: "spanwire-hub", subject: "system:serviceaccount:spanwire:gateway" });
    const listed = await spanwire("cluster", "invites");
    expect(listed.stdout).toMatch(/^eu +key-1 +system:serviceaccount:spanwire:gateway +good/m);
    expect(await spanwire("cluster", "invite", "eu", "--withdraw")).toMatchObject({ code: 0 });
    expect((await spanwire("cluster", "invites")).stdout).toContain("no invites; make one with");
    expect(await spanwire("cluster", "invite", "eu", "--withdraw")).toMatchObject({ code: 4 });
  });

  test("takes any issuer's tokens with a mapping of their claims", async () => {
    const mapping = ["--subject", "1234", "--ordinal", "1", "--instance-claim", "/google/compute_engine/instance_id"];
    const url = ["--issuer-url", "https://accounts.example", "--claim", "/google/compute_engine/zone=a", ...mapping];
    const invited = await spanwire("cluster", "invite", "vm", ...url, "-o", "json");
    expect(JSON.parse(invited.stdout).info.issuer).toEqual({
      url: "https://accounts.example",
      audience: "spanwire-hub",
      subject: "1234",
      claims: { "/google/compute_engine/zone": "a" },
      ordinal: 1,
      instanceClaim: "/google/compute_engine/instance_id",
    });
    expect(await spanwire("cluster", "invite", "vm", "--withdraw")).toMatchObject({ code: 0 });
  });

  test.each([
    { args: [], code: 2, want: "give either --jwks or --issuer-url" },
    { args: ["--jwks", "f", "--issuer-url", "https://a"], code: 2, want: "give either --jwks or --issuer-url" },
    { args: ["--issuer-url", "http://a"], code: 2, want: "issuer.url" },
    { args: ["--jwks", "f", "--service-account", "gateway"], code: 2, want: "namespace and name" },
    { args: ["--jwks", "f", "--claim", "zone=a"], code: 2, want: "/groups/0=mesh" },
    { args: ["--issuer-url", "https://a", "--ordinal", "9"], code: 2, want: "this mesh has ordinals 0 to 1" },
    { args: ["--jwks", join(import.meta.dirname, "../package.json")], code: 2, want: '{"keys": [...]}' },
  ])("$args is refused with what to do", async ({ args, code, want }) => {
    const refused = await spanwire("cluster", "invite", "eu", ...args);
    expect(refused).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(want) });
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
    expect((await spanwire("link", "remove", "shop", "--dry-run")).stdout).toContain("nothing was written");
    expect(await spanwire("link", "remove", "shop")).toMatchObject({ code: 0 });
    const again = await spanwire("link", "remove", "shop");
    expect(again).toMatchObject({ code: 4, stderr: expect.stringContaining("see: spanwire link list") });
  });
});

test("is a process, too: answers on standard output, and the exit code", async () => {
  const context = ["--context", hub.contextFile];
  expect(await run([...context, "cluster", "list"])).toEqual({
    code: 0,
    stdout: "no clusters have joined; begin with: spanwire token create CLUSTER\n",
    stderr: "",
  });
  expect(await run([...context, "cluster", "show", "nowhere"])).toMatchObject({
    code: 4,
    stdout: "",
    stderr: expect.stringContaining("see spanwire cluster list"),
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

describe("a mesh with two sites", () => {
  let members: Member[];
  beforeAll(async () => {
    const eu = { clusterId: "eu", prefixes: ["10.1.0.0/16"], endpoint: "192.0.2.1" };
    const us = { clusterId: "us", prefixes: ["10.2.0.0/16"], endpoint: "192.0.2.2" };
    members = [await joinMember(hub, eu), await joinMember(hub, us)];
    await spanwire("link", "set", "--default", "full-mesh");
    await eventually("both peer", () => members.every(({ kernel }) => kernel.toString().includes("peer ")));
  });
  afterAll(() => Promise.all(members.map((member) => member[Symbol.asyncDispose]())));

  test("is listed and shown", async () => {
    expect((await spanwire("cluster", "list")).stdout).toMatch(/eu +vm +10\.1\.0\.0\/16 +198\.18\.0\.0\/26 +0/);
    expect((await spanwire("cluster", "show", "us")).stdout).toMatch(/0 +serving +192\.0\.2\.2:51820 +kernel/);
    expect((await spanwire("status")).stdout).toMatch(/eu\/0 +serving/);
  });

  test("a gateway drains and serves again, as its statement says", async () => {
    const shown = async (state: RegExp) => state.test((await spanwire("cluster", "show", "eu")).stdout);
    const { stdout } = await spanwire("gateway", "drain", "eu/0");
    expect(stdout).toBe("gateway eu/0 drains: its cluster has no other, so it goes on carrying\n");
    await eventually("it drains", () => shown(/0 +draining/));
    expect((await spanwire("gateway", "resume", "eu/0")).stdout).toBe("gateway eu/0 serves\n");
    await eventually("it serves", () => shown(/0 +serving/));
    expect(await spanwire("gateway", "drain", "eu/1")).toMatchObject({ code: 4 });
  });

  test.each([
    { args: ["cluster", "list"], keys: ["clusters"] },
    { args: ["cluster", "show", "eu"], keys: ["cluster"] },
    { args: ["token", "list"], keys: ["tokens"] },
    { args: ["link", "list"], keys: ["policy", "generation"] },
    { args: ["link", "set", "--default", "none", "--dry-run"], keys: ["changes"] },
    { args: ["status"], keys: ["status"] },
    { args: ["version"], keys: ["client", "node", "hub"] },
    { args: ["get"], keys: ["clusters", "links"] },
    { args: ["plan", "eu/0"], keys: ["0"] },
  ])("$args: the same for programs as JSON and as YAML", async ({ args, keys }) => {
    const json = JSON.parse((await spanwire(...args, "-o", "json")).stdout);
    const yaml = parse((await spanwire(...args, "-o", "yaml")).stdout);
    for (const key of keys) {
      expect(json).toHaveProperty([key]);
      expect(yaml).toHaveProperty([key]);
    }
  });

  test("is watched: one line of JSON or one document of YAML for each change, until it is interrupted", async () => {
    const sequences = (lines: readonly string[]) => lines.map((line) => Number(JSON.parse(line).status.sequence));
    const json = watch("json");
    const yaml = watch("yaml");
    await eventually("first answers", () => json.lines.length > 0 && yaml.lines.length > 0);
    await spanwire("link", "set", "watched", "--left", "eu", "--right", "us");
    await eventually("a later sequence", () => new Set(sequences(json.lines)).size > 1);
    await spanwire("link", "remove", "watched");
    expect(await Promise.all([json.interrupt(), yaml.interrupt()])).toEqual([0, 0]);
    const documents = parseAllDocuments(yaml.lines.join("\n")).map((each) => each.toJS());
    expect(documents.length).toBeGreaterThan(0);
    for (const each of documents) expect(each).toHaveProperty("status.meshId");
  });

  test("is planned as the agents program it: the same peers", async () => {
    const { stdout } = await spanwire("plan", "eu/0");
    const [member] = members;
    const peers = (text: string) => [...text.matchAll(/peer ([A-Za-z0-9+/]{43}=)/g)].map(([, key]) => key).sort();
    expect(peers(stdout)).toEqual(peers(member?.kernel.toString() ?? ""));
    expect(stdout).toContain("10.2.0.0/16");
  });

  test("is a file that can be changed and applied; a second apply finds no differences", async () => {
    const file = join(hub.directory, "mesh.yaml");
    const { stdout } = await spanwire("get");
    await writeFile(file, stdout.replace("default: full-mesh", "default: none"));
    const diff = await spanwire("diff", "-f", file);
    expect(diff).toMatchObject({ code: 5, stdout: expect.stringContaining("link eu~us") });
    const [link] = JSON.parse((await spanwire("diff", "-f", file, "-o", "json")).stdout).links;
    expect(link).toMatchObject({ left: "eu", right: "us" });
    expect(await spanwire("apply", "-f", file)).toMatchObject({ code: 0 });
    expect(await spanwire("diff", "-f", file)).toMatchObject({ code: 0, stdout: "no differences\n" });
    await writeFile(file, "clusters: [{ id: eu, prefixes: [10.1.0.1/16] }]");
    expect(await spanwire("apply", "-f", file)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("clusters[0].prefixes[0]"),
    });
  });

  test("is backed up, and restored into an empty folder", async () => {
    const backup = join(hub.directory, "mesh.backup");
    const made = await spanwire("backup", "--out", backup, "--dir", hub.directory);
    expect(made).toMatchObject({ code: 0, stderr: expect.stringMatching(/\d+ keys and \d+ entries/) });
    const dir = await mkdtemp(join(tmpdir(), "spanwire-restored-"));
    const nats = ["--nats-port", "0", "--nats-server", await natsServerPath()];
    const restored = await run(["restore", "--from", backup, "--dir", dir, "--listen", "127.0.0.1", ...nats]);
    expect(restored).toMatchObject({ code: 0, stderr: expect.stringMatching(/\d+ entries restored/) });
    await rm(dir, { recursive: true });
  });

  test("loses one that is revoked, and is told when every kernel has lost it", async () => {
    const revoked = await spanwire("cluster", "revoke", "us", "--reason", "test");
    expect(revoked).toMatchObject({ code: 0, stdout: expect.stringContaining("ended gateway.us.0") });
    expect(revoked.stderr).toMatch(/gone from 1 kernels/);
    const [eu] = members;
    expect(eu?.kernel.toString()).not.toContain("peer ");
  });
});

test("a hub that is away has an exit code of its own", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spanwire-cli-"));
  const away = await startHubProcess();
  const context = away.contextFile;
  await away.end("SIGTERM");
  const outcome = await run(["--context", context, "cluster", "list"]);
  expect(outcome).toMatchObject({ code: 3, stderr: expect.stringContaining('Start one with "spanwire up"') });
  await away[Symbol.asyncDispose]();
  await rm(directory, { recursive: true });
});

test.each([
  { args: ["--context", "/nowhere/context.json", "status"], want: 'start a hub with "spanwire up"' },
  { args: ["hub", "run", "--dir", "/dev/null/nowhere", "--listen", "127.0.0.1"], want: "spanwire: " },
  { args: ["up", "--dir", "/dev/null/nowhere", "--nats-server", "/nowhere/nats-server"], want: "spanwire: " },
])("$args: what fails here and not at the hub has exit code 1", async ({ args, want }) => {
  expect(await run(args)).toMatchObject({ code: 1, stderr: expect.stringContaining(want) });
});

test("hub run starts what its file says, and SIGTERM ends it with 0", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spanwire-run-"));
  const file = join(directory, "hub.yaml");
  const nats = `nats: { port: 0, binary: ${await natsServerPath()} }`;
  await writeFile(file, `dir: ${directory}\nlisten: 127.0.0.1\nregistrationPort: 0\nfleetPort: 0\n${nats}\n`);
  const child = spawn(process.execPath, [SPANWIRE, "hub", "run", "--config", file], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const said = createInterface({ input: child.stderr });
  for await (const line of said) if (line.startsWith("operator context:")) break;
  expect(await run(["--context", join(directory, "context.json"), "version"])).toMatchObject({ code: 0 });
  expect(await endOf(child, "SIGTERM")).toBe(0);
  await rm(directory, { recursive: true });
});

test("a second start goes on where the first one ended, and SIGTERM ends it cleanly", async () => {
  await using again = await startHubProcess();
  const { meshId } = await again.context();
  await again.end("SIGTERM");
  await again.start();
  expect((await again.context()).meshId).toBe(meshId);
});

/** `status --watch`, its lines as they come. */
function watch(format: "json" | "yaml") {
  const args = [SPANWIRE, "--context", hub.contextFile, "status", "--watch", "-o", format];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on("line", (line) => lines.push(line));
  return { lines, interrupt: () => endOf(child, "SIGINT") };
}

async function endOf(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  const exited = once(child, "exit");
  child.kill(signal);
  return (await exited)[0];
}

const spanwire = (...args: readonly string[]) =>
  runCli(args, { context: hub.contextFile, signal: AbortSignal.timeout(CALL_LIMIT_MS) });

/** The program as a process. */
async function run(args: readonly string[]) {
  return new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
    execFile(process.execPath, [SPANWIRE, ...args], (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}
