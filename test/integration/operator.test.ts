import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type HubProcess, startHubProcess } from "./hub-process.ts";
import { runCli } from "./run-cli.ts";

let hub: HubProcess;
beforeAll(async () => {
  hub = await startHubProcess();
});
afterAll(() => hub[Symbol.asyncDispose]());

const spanwire = (context: string, ...args: readonly string[]) => runCli(args, { context });
const fileOf = (name: string) => join(hub.directory, `${name}.json`);
const create = (name: string, role: string, as = hub.contextFile) =>
  spanwire(as, "operator", "create", name, "--role", role, "--out", fileOf(name), "--ttl", "1h");

test("what an operator may do is in the context file that an admin makes for it", async () => {
  for (const role of ["viewer", "operator", "admin"]) {
    expect(await create(role, role)).toMatchObject({ code: 0, stdout: expect.stringContaining(`${role} "${role}"`) });
  }
  expect((await stat(fileOf("viewer"))).mode & 0o777).toBe(0o600);
  const [own, made] = await Promise.all(
    [hub.contextFile, fileOf("viewer")].map(async (path) => readFile(path, "utf8")),
  );
  expect(JSON.parse(made ?? "").privateKeyPem).not.toBe(JSON.parse(own ?? "").privateKeyPem);

  const codes = async (...args: string[]) =>
    Promise.all(["viewer", "operator", "admin"].map(async (name) => (await spanwire(fileOf(name), ...args)).code));
  expect(await codes("status")).toEqual([0, 0, 0]);
  expect(await codes("token", "create", "eu")).toEqual([4, 0, 0]);
  expect(await codes("backup", "--dir", hub.directory, "--out", fileOf(`backup`))).toEqual([4, 4, 0]);
  const refused = await spanwire(fileOf("viewer"), "link", "set", "--default", "none");
  expect(refused.stderr).toContain('SetLinkPolicy: needs the role operator, "viewer" is viewer');
});

test("nobody makes an operator but an admin, and none of a role that there is not", async () => {
  await create("bob", "operator");
  expect(await create("carol", "admin", fileOf("bob"))).toMatchObject({ code: 4 });
  expect(await create("carol", "root")).toMatchObject({ code: 2, stderr: expect.stringContaining("viewer") });
  expect(await create("Not A Label", "viewer")).toMatchObject({ code: 2 });
});

test("a revoked operator is refused at once, with every certificate of its name or with the one that is named", async () => {
  await create("dave", "operator");
  const listed = JSON.parse((await spanwire(hub.contextFile, "operator", "list", "-o", "json")).stdout);
  const of = (name: string) => listed.operators.filter((each: { name: string }) => each.name === name);
  expect(of("local")).toHaveLength(1); // whom the hub's own start has made
  const [{ serial }] = of("dave");
  expect(await spanwire(fileOf("dave"), "operator", "revoke", "local")).toMatchObject({ code: 4 });

  const byOther = await spanwire(hub.contextFile, "operator", "revoke", "--serial", serial);
  expect(byOther).toMatchObject({ code: 0, stdout: `revoked dave, ${serial}\n` });
  const refused = await spanwire(fileOf("dave"), "status");
  expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining("was revoked: ask an admin for another") });
  expect((await spanwire(hub.contextFile, "operator", "list")).stdout).toMatch(
    /^dave +operator +\w+ .* (now|\d+ s ago)$/m,
  );

  await create("dave", "viewer");
  expect(await spanwire(fileOf("dave"), "status")).toMatchObject({ code: 0 });
  expect(await spanwire(hub.contextFile, "operator", "revoke", "dave")).toMatchObject({ code: 0 });
  expect(await spanwire(fileOf("dave"), "status")).toMatchObject({ code: 4 });
  expect(await spanwire(hub.contextFile, "operator", "revoke", "nobody")).toMatchObject({ code: 4 });
  expect(await spanwire(hub.contextFile, "audit", "tail", "--no-follow")).toMatchObject({
    stdout: expect.stringContaining("operator.revoke"),
  });
});
