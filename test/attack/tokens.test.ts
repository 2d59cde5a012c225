import { join } from "node:path";
import type { SpanwireError } from "@spanwire/core/errors";
import { parseInvite } from "@spanwire/core/identity/invite";
import { Secret } from "@spanwire/core/identity/secret";
import { FORGERIES, type Forger } from "@spanwire/hub/oidc/forgeries";
import { createTestIssuer, podClaims, type TestIssuer } from "@spanwire/hub/oidc/testing";
import { CALL, createTestGateway, makeDirectory, type RunningHub, startHub } from "@spanwire/hub/testing";
import { FleetService } from "@spanwire/proto/fleet";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient } from "@spanwire/runtime/grpc/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type SignIn, serveSignIn } from "../integration/sign-in.ts";

/** Tokens of other issuers open two doors of the hub; each attack is tried at both. */
type Door = "Register" | "FleetService";
const DOORS: readonly Door[] = ["Register", "FleetService"];

let directory: Awaited<ReturnType<typeof makeDirectory>>;
let hub: RunningHub;
let issuer: TestIssuer;
let other: TestIssuer;
let signIn: SignIn;
beforeAll(async () => {
  directory = await makeDirectory();
  issuer = await createTestIssuer("RS256", "key-1");
  other = await createTestIssuer("RS256", "key-1");
  signIn = await serveSignIn(issuer, directory.path);
  const roles = [{ claim: "/groups", value: "mesh", role: "admin" as const }];
  const oidc = { port: 0, ...signIn.settings, audience: "spanwire-hub", roles };
  hub = await startHub({ dir: join(directory.path, "hub"), operators: { oidc } });
  for (const [clusterId, { jwks }] of [["eu", issuer] as const, ["us", other] as const]) {
    await hub.fleet.inviteCluster({ clusterId, issuer: { ...POD_RULE, jwks } }, CALL);
  }
});
afterAll(async () => {
  await hub?.stop();
  await signIn?.[Symbol.asyncDispose]();
  await directory?.[Symbol.asyncDispose]();
});

const POD_RULE = {
  subject: "system:serviceaccount:spanwire:gateway",
  ordinalClaim: "/kubernetes.io/pod/name",
  instanceClaim: "/kubernetes.io/pod/uid",
};
const NOW_S = () => Math.floor(Date.now() / 1_000);

/** What a good token for the door says. */
function goodClaims(door: Door): Forger["claims"] {
  if (door === "Register") return podClaims({ name: "gateway-0", uid: "u-1" }, Date.now());
  return {
    iss: signIn.settings.issuer,
    aud: "spanwire-hub",
    sub: "alice",
    iat: NOW_S(),
    exp: NOW_S() + 600,
    groups: ["mesh"],
  };
}

/** "in", or the reason of the refusal. */
async function tryAt(door: Door, token: string, clusterId = "eu"): Promise<string> {
  const said = door === "Register" ? register(token, clusterId) : listByBearer(token);
  return said.then(
    () => "in",
    ({ reason }: SpanwireError) => reason,
  );
}

async function register(token: string, clusterId: string): Promise<unknown> {
  const { invite } = await hub.fleet.inviteCluster(
    { clusterId, issuer: { ...POD_RULE, jwks: jwksOf(clusterId) } },
    CALL,
  );
  return createTestGateway().registerAs(parseInvite(invite), token);
}

function jwksOf(clusterId: string): string {
  return clusterId === "eu" ? issuer.jwks : other.jwks;
}

async function listByBearer(token: string): Promise<unknown> {
  const bearer = async () => new Secret(Buffer.from(token));
  const address = hub.ready.bearerAddress ?? "";
  using channel = openChannel({ address, tls: { caPem: hub.context.caPem, bearer } });
  return await createClient(FleetService, channel).createToken({ clusterId: "asia" }, CALL);
}

async function describeMesh() {
  const [{ clusters }, { tokens }] = await Promise.all([
    hub.fleet.listClusters({}, CALL),
    hub.fleet.listTokens({}, CALL),
  ]);
  return { clusters, tokens };
}

describe.each(DOORS)("%s", (door) => {
  test.each(Object.entries(FORGERIES))("a forged JWT opens nothing: %s", async (_name, forge) => {
    const before = await describeMesh();
    const token = await forge({ issuer, other, claims: goodClaims(door) });
    expect(["JWT_INVALID", "INVALID_REQUEST", "JWT_KEY_UNKNOWN"]).toContain(await tryAt(door, token));
    expect(await describeMesh()).toEqual(before);
    expect(JSON.stringify(hub.log.events)).not.toContain(token.split(".")[1]);
  });

  test.each([
    {
      name: "expired",
      wrong: () => ({ iat: NOW_S() - 900, nbf: NOW_S() - 900, exp: NOW_S() - 120 }),
      want: "JWT_EXPIRED",
    },
    { name: "not yet valid", wrong: () => ({ nbf: NOW_S() + 300 }), want: "JWT_NOT_YET_VALID" },
    { name: "wrong-audience", wrong: () => ({ aud: "https://kubernetes.default.svc" }), want: "JWT_WRONG_AUDIENCE" },
    { name: "year-long", wrong: () => ({ exp: NOW_S() + 31_536_000 }), want: "JWT_LIVES_TOO_LONG" },
  ])("a JWT that is $name opens nothing", async ({ wrong, want }) => {
    const before = await describeMesh();
    expect(await tryAt(door, await issuer.sign({ ...goodClaims(door), ...wrong() }))).toBe(want);
    expect(await describeMesh()).toEqual(before);
  });

  test("the good one opens it, so that the refusals above mean something", async () => {
    expect(await tryAt(door, await issuer.sign(goodClaims(door)))).toBe("in");
  });
});

test("a workload's token of cluster eu opens nothing for cluster us, nor one of us for eu", async () => {
  const claims = podClaims({ name: "gateway-1", uid: "u-2" }, Date.now());
  expect(await tryAt("Register", await issuer.sign(claims), "us")).toBe("JWT_INVALID");
  expect(await tryAt("Register", await other.sign(claims), "eu")).toBe("JWT_INVALID");
});

test("a token for one door opens not the other", async () => {
  expect(await tryAt("FleetService", await issuer.sign(goodClaims("Register")))).toBe("JWT_WRONG_ISSUER");
  expect(await tryAt("Register", await issuer.sign(goodClaims("FleetService")))).toBe("WORKLOAD_WRONG_SUBJECT");
});

test("a workload's token that was stolen is of no use beside its pod, and of none after it", async () => {
  const pod = { name: "gateway-1", uid: "u-3" };
  const stolen = await other.sign(podClaims(pod, Date.now()));
  expect(await tryAt("Register", stolen, "us")).toBe("in");
  const thieves = await Promise.all(Array.from({ length: 50 }, () => tryAt("Register", stolen, "us")));
  expect(new Set(thieves)).toEqual(new Set(["WORKLOAD_ALREADY_JOINED"]));
  const next = podClaims({ ...pod, uid: "u-4" }, Date.now() + 2_000);
  expect(await tryAt("Register", await other.sign(next), "us")).toBe("in");
  expect(await tryAt("Register", stolen, "us")).toBe("WORKLOAD_SUPERSEDED");
});

test("every refusal is in the audit log, and no token", async () => {
  const token = await other.sign(goodClaims("FleetService"));
  expect(await tryAt("FleetService", token)).toBe("JWT_INVALID");
  const blocks: string[] = [];
  for await (const { block } of hub.fleet.readAudit({ after: 0n }, CALL))
    blocks.push(Buffer.from(block).toString("latin1"));
  const log = blocks.join("");
  for (const reason of ["JWT_INVALID", "JWT_EXPIRED", "WORKLOAD_ALREADY_JOINED"]) expect(log).toContain(reason);
  expect(log).not.toContain(token.split(".")[2]);
});
