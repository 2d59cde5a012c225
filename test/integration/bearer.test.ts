import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { openFleet } from "@spanwire/cli/fleet";
import { createTestIssuer, type TestIssuer } from "@spanwire/hub/oidc/testing";
import { makeDirectory, type RunningHub, startHub } from "@spanwire/hub/testing";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runCli } from "./run-cli.ts";
import { type SignIn, serveSignIn } from "./sign-in.ts";

let directory: Awaited<ReturnType<typeof makeDirectory>>;
let issuer: TestIssuer;
let signIn: SignIn;
let hub: RunningHub;
let context: string;
beforeAll(async () => {
  directory = await makeDirectory();
  issuer = await createTestIssuer();
  signIn = await serveSignIn(issuer, directory.path);
  const roles = [
    { claim: "/groups", value: "net", role: "operator" as const },
    { claim: "/groups", value: "staff", role: "viewer" as const },
  ];
  const oidc = { port: 0, ...signIn.settings, audience: "mesh", nameClaim: "/email", roles };
  hub = await startHub({ dir: join(directory.path, "hub"), operators: { oidc } });
  context = fileOf("sign-in.json");
  const address = hub.ready.bearerAddress ?? "";
  const bearer = ["operator", "bearer", "--address", address, "--token-file", fileOf("token"), "--out", context];
  expect(await runCli(bearer, { context: hub.ready.contextFile })).toMatchObject({ code: 0 });
});
afterAll(async () => {
  await hub?.stop();
  await signIn?.[Symbol.asyncDispose]();
  await directory?.[Symbol.asyncDispose]();
});

const fileOf = (name: string) => join(directory.path, name);
const spanwire = (...args: readonly string[]) => runCli(args, { context });

/** As whatever keeps the company's token fresh does. */
async function signInAs(groups: readonly string[]): Promise<void> {
  const nowS = Math.floor(Date.now() / 1_000);
  const claims = { iss: signIn.settings.issuer, aud: "mesh", sub: "1", email: "ann@example.com", groups };
  await writeFile(fileOf("token"), `${await issuer.sign({ ...claims, iat: nowS, exp: nowS + 3_600 })}\n`);
}

test("who comes by a token of the company's sign-in may what its groups say, and is named in the audit log", async () => {
  await signInAs(["staff"]);
  expect(await spanwire("status")).toMatchObject({ code: 0 });
  const refused = await spanwire("token", "create", "eu");
  expect(refused).toMatchObject({ code: 4, stderr: expect.stringContaining('"ann@example.com" is viewer') });
  await signInAs(["staff", "net"]);
  expect(await spanwire("token", "create", "eu")).toMatchObject({ code: 0 });
  await signInAs(["guests"]);
  expect(await spanwire("status")).toMatchObject({ code: 4, stderr: expect.stringContaining("gives no role here") });
  const log = await runCli(["audit", "tail", "--no-follow", "-o", "json"], { context: hub.ready.contextFile });
  expect(log.stdout).toContain("ann@example.com");
  expect(await readFile(context, "utf8")).not.toContain("PRIVATE KEY");
});

test("no certificate opens the port for tokens, and no token the port for certificates", async () => {
  await signInAs(["net"]);
  const own = await readOperatorContext(hub.ready.contextFile);
  using byCertificate = openFleet({ ...own, address: hub.ready.bearerAddress ?? "" });
  const call = { timeoutMs: 15_000 };
  await expect(byCertificate.client.getVersion({}, call)).rejects.toMatchObject({ reason: "OPERATOR_REQUIRED" });
  using byToken = openFleet({ ...(await readOperatorContext(context)), address: hub.ready.fleetAddress });
  await expect(byToken.client.getVersion({}, call)).rejects.toMatchObject({ code: "unavailable" }); // no TLS at all
});
