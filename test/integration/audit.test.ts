import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseJoinToken } from "@spanwire/core/identity/join-token";
import { createTestGateway } from "@spanwire/hub/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { eventually } from "../demo/eventually.ts";
import { type HubProcess, startHubProcess } from "./hub-process.ts";
import { joinMember } from "./member.ts";
import { type RunCliOptions, runCli } from "./run-cli.ts";

const call = { timeoutMs: 60_000 };

let hub: HubProcess;
/** Secrets of every token that was made. */
const secrets: Uint8Array[] = [];
beforeAll(async () => {
  hub = await startHubProcess();
  await makeHistory();
});
afterAll(() => hub[Symbol.asyncDispose]());

const fileOf = (name: string) => join(hub.directory, name);

const spanwire = (args: readonly string[], options: Partial<RunCliOptions> = {}) =>
  runCli(args, { context: hub.contextFile, ...options });

/** One of each: changes and refusals on both ports and over NATS. */
async function makeHistory(): Promise<void> {
  const fleet = await hub.fleet();
  await spanwire(["operator", "create", "vera", "--role", "viewer", "--out", fileOf("vera.json")]);
  await spanwire(["link", "set", "--default", "none"], { context: fileOf("vera.json") });
  await spanwire(["link", "set", "shop", "--left", "eu", "--right", "us", "--allow", "left->right tcp 443"]);
  const eu = await joinMember(hub, { clusterId: "eu", prefixes: ["10.1.0.0/16"], endpoint: "192.0.2.1" });
  await eventually("eu has said where it is", async () => {
    const { clusters } = await fleet.listClusters({}, call);
    return clusters[0]?.gateways[0]?.statement !== undefined;
  });
  const { token: text } = await fleet.createToken({ clusterId: "us", ordinal: 0 }, call);
  const token = parseJoinToken(text);
  secrets.push(token.secret.reveal());
  const us = createTestGateway();
  await us.register(token, { prefixes: ["10.2.0.0/16"] });
  await us.renew(token);
  for (let n = 0; n < 5; n++)
    await createTestGateway()
      .register(token)
      .catch(() => {});
  await fleet.updateCluster({ id: "us", prefixes: ["10.3.0.0/16"], labels: { a: "b" } }, call);
  await fleet.updateCluster({ id: "us", prefixes: ["10.1.0.0/16"] }, call).catch(() => {});
  await fleet.updateCluster({ id: "us", prefixes: ["10.4.0.0/16"], dryRun: true }, call);
  await us.leave(token);
  const unused = await fleet.createToken({ clusterId: "asia" }, call);
  await fleet.revokeToken({ id: unused.info?.id ?? "" }, call);
  await fleet.revokeGateway({ clusterId: "eu", ordinal: 0, reason: "stolen" }, call);
  await fleet.deleteCluster({ id: "eu" }, call);
  await eu[Symbol.asyncDispose]();
  for await (const _ of fleet.exportState({}, call));
}

async function exported(format: string): Promise<string[]> {
  const { code, stdout } = await spanwire(["audit", "export", "--format", format]);
  expect(code).toBe(0);
  return stdout.trimEnd().split("\n");
}

test("every change and every refusal is in the log, with who, what, from where, before and after, and the token's id", async () => {
  await eventually("the log is written", async () =>
    (await spanwire(["audit", "tail", "--no-follow"])).stdout.includes("state.export"),
  );
  const entries = (await exported("json"))
    .map((line) => JSON.parse(line))
    .filter(({ action }) => !["audit.end", "hub.lead"].includes(action));
  const rows = entries.map(({ action, refusal = "", actor = {}, target = "", tokenId, before, after, address }) =>
    [
      `${(actor.kind ?? "").replace("AUDIT_ACTOR_KIND_", "").toLowerCase()} ${actor.name ?? ""}`.trim(),
      `${action} ${target}`.trim().replace(/token\.[a-z0-9]{16}/, "token.ID"),
      refusal,
      ...(tokenId === undefined ? [] : ["token"]),
      ...(before === undefined ? [] : ["before"]),
      ...(after === undefined ? [] : ["after"]),
      /^127\.0\.0\.1:\d+$/.test(address) ? "address" : "",
    ]
      .filter((text) => text !== "")
      .join(" | "),
  );
  expect(rows.join("\n")).toMatchInlineSnapshot(`
    "hub | hub.start | after
    operator local | operator.create operator.vera | after | address
    operator vera | SetLinkPolicy | ROLE_REQUIRED | address
    operator local | links.set policy.links | before | after | address
    operator local | token.create token.ID | token | after | address
    gateway eu/0 | gateway.register gateway.eu.0 | token | after | address
    gateway eu/0 | statement.store gateway.eu.0 | after
    operator local | token.create token.ID | token | after | address
    gateway us/0 | gateway.register gateway.us.0 | token | after | address
    gateway us/0 | gateway.renew gateway.us.0 | address
    nobody | Register cluster.us | TOKEN_ALREADY_USED | token | address
    operator local | cluster.update cluster.us | before | after | address
    operator local | UpdateCluster cluster.us | PREFIX_OVERLAP | address
    gateway us/0 | gateway.leave gateway.us.0 | before | after | address
    gateway us/0 | token.revoke token.ID | address
    operator local | token.create token.ID | token | after | address
    operator local | token.revoke token.ID | token | before | address
    operator local | gateway.revoke gateway.eu.0 | before | after | address
    operator local | token.revoke token.ID | address
    operator local | cluster.delete cluster.eu | before | address
    operator local | state.export | address"
  `);
  const update = entries.find(({ action }) => action === "cluster.update");
  expect([JSON.parse(update.before).prefixes, JSON.parse(update.after).prefixes]).toEqual([
    ["10.2.0.0/16"],
    ["10.3.0.0/16"],
  ]);
});

test("no token's secret is in it", async () => {
  expect(secrets.length).toBeGreaterThan(0);
  const said = (await exported("json")).join("\n") + JSON.stringify(await readEntries());
  for (const secret of secrets) {
    for (const form of ["base64", "base64url", "hex", "latin1"] as const) {
      expect(said).not.toContain(Buffer.from(secret).toString(form));
    }
  }
});

/** The signed bytes themselves. */
async function readEntries(): Promise<string[]> {
  const lines = (await exported("json")).map((line) => JSON.parse(line));
  return lines.map(({ proof }) => Buffer.from(proof.entry ?? "", "base64").toString("latin1"));
}

describe("audit verify", () => {
  test("finds the hub's log whole", async () => {
    expect(await spanwire(["audit", "verify"])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^whole: entries 1 to \d+, as of 20/),
    });
    const asJson = await spanwire(["audit", "verify", "-o", "json"]);
    expect(JSON.parse(asJson.stdout)).toMatchObject({ whole: true, first: "1", problems: [] });
  });

  test.each([
    "ocsf",
    "ecs",
    "json",
  ])("finds an export as %s whole, offline and with the authority's key alone; and one edit", async (format) => {
    const path = fileOf(`audit.${format}`);
    expect(await spanwire(["audit", "export", "--format", format, "--out", path])).toMatchObject({
      code: 0,
      stdout: "",
    });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await spanwire(["audit", "export", "--out", path])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("the file exists"),
    });
    expect(await spanwire(["audit", "verify", path])).toMatchObject({ code: 0 });

    const { authorityKey, meshId } = await hub.context();
    const keys = ["--authority-key", Buffer.from(authorityKey).toString("base64"), "--mesh", meshId];
    const alone = { context: fileOf("there is none") };
    expect(await spanwire(["audit", "verify", ...keys, path], alone)).toMatchObject({ code: 0 });
    const others = ["--authority-key", Buffer.alloc(32, 1).toString("base64"), "--mesh", meshId];
    expect(await spanwire(["audit", "verify", ...others, path], alone)).toMatchObject({ code: 5 });

    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    const at = lines.findIndex((line) => line.includes("vera"));
    const edited = lines.with(at, (lines[at] ?? "").replace("vera", "otto"));
    await writeFile(`${path}.edited`, edited.join("\n"));
    expect(await spanwire(["audit", "verify", `${path}.edited`])).toMatchObject({
      code: 5,
      stdout: expect.stringContaining(`${path}.edited:${at + 1}: shows something else than the entry`),
    });
    await writeFile(`${path}.cut`, lines.toSpliced(4, 1).join("\n"));
    expect(await spanwire(["audit", "verify", `${path}.cut`])).toMatchObject({
      code: 5,
      stdout: expect.stringMatching(/^not whole: .*\n[\s\S]*entry 5 is missing/),
    });
  });

  test("knows an older export as the beginning of a newer one, and a part by where it begins", async () => {
    const [old, part] = [fileOf("old.jsonl"), fileOf("part.jsonl")];
    await spanwire(["audit", "export", "--out", old]);
    await spanwire(["token", "create", "africa"]);
    await eventually("it is written", async () =>
      (await spanwire(["audit", "tail", "--no-follow", "--last", "1"])).stdout.includes("africa"),
    );
    const last = (await readFile(old, "utf8")).trimEnd().split("\n").length - 1;
    await spanwire(["audit", "export", "--after", `${last}`, "--out", part]);
    expect(await spanwire(["audit", "verify", old, part])).toMatchObject({ code: 0 });
    expect(await spanwire(["audit", "verify", "--from", `${last + 1}`, part])).toMatchObject({ code: 0 });
    expect(await spanwire(["audit", "verify", part])).toMatchObject({ code: 5 });
  });

  test.each([
    { args: ["audit", "verify", "/there/is/none"], code: 2 },
    { args: ["audit", "verify", "--authority-key", "AAAA", "x"], code: 2 },
    { args: ["audit", "verify", "--from", "one"], code: 2 },
  ])("$args has exit code $code", async ({ args, code }) => {
    expect(await spanwire(args)).toMatchObject({ code });
  });
});

test("audit tail shows the newest, follows, and ends when interrupted", async () => {
  const interrupted = new AbortController();
  const following = spanwire(["audit", "tail", "--last", "2"], {
    signal: interrupted.signal,
    onOut: (stdout) => {
      if (stdout.includes("oceania")) interrupted.abort();
    },
  });
  await spanwire(["token", "create", "oceania"]);
  const { code, stdout } = await following;
  expect(code).toBe(0);
  expect(stdout).toMatch(
    /^20\S+Z {2}admin local {2}127\.0\.0\.1:\d+ {2}token\.create token\.[a-z0-9]{16}: for cluster "oceania"$/m,
  );
  const asJson = await spanwire(["audit", "tail", "--no-follow", "--last", "1", "-o", "json"]);
  expect(JSON.parse(asJson.stdout)).toMatchObject({ action: "token.create" });
});

test("the log goes on after the hub was killed and started again", async () => {
  await hub.end("SIGKILL");
  await hub.start();
  await eventually("it has said so", async () => {
    const { stdout } = await spanwire(["audit", "tail", "--no-follow"]).catch(() => ({ stdout: "" }));
    return [...stdout.matchAll(/hub {2}hub\.start/g)].length > 0;
  });
  expect(await spanwire(["audit", "verify"])).toMatchObject({ code: 0 });
});
