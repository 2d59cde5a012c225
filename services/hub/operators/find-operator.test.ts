import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import type { CallContext } from "@spanwire/runtime/grpc/context";
import { expect, test } from "vitest";
import { createKeyRing } from "../oidc/issuer-keys.ts";
import { createTestIssuer } from "../oidc/testing.ts";
import { byBearer } from "./find-operator.ts";

const START_MS = 1_790_000_000_000;
const NOW_S = START_MS / 1_000;

const issuer = await createTestIssuer();
const claims = {
  iss: "https://sign-in.example",
  aud: "mesh",
  sub: "alice",
  iat: NOW_S,
  exp: NOW_S + 600,
  role: "look",
};

function finder(clock: FakeClock, nameClaim = "/sub") {
  const source = { kind: "given", jwks: issuer.jwks } as const;
  const roles = [{ claim: "/role", value: "look", role: "viewer" }] as const;
  const keyRing = createKeyRing({ clock, onFailure: () => {} });
  return byBearer({ keyRing, source, issuer: claims.iss, audience: "mesh", nameClaim, roles, clock });
}

function callWith(authorization: string | undefined) {
  const metadata = new Map(authorization === undefined ? [] : [["authorization", authorization]]);
  return { context: { metadata, peer: { address: "", certificate: undefined } } as unknown as CallContext };
}

test("who comes with a token is named by its claim, and its calls end when the token does", async () => {
  const clock = new FakeClock(START_MS);
  const operator = await finder(clock)(callWith(`Bearer ${await issuer.sign(claims)}`));
  expect(operator).toMatchObject({ name: "alice", role: "viewer" });
  const ended: string[] = [];
  operator?.onRevoked(() => ended.push("call"));
  operator?.onRevoked(() => ended.push("one that was over before"))();
  await clock.advance(659_999); // ten minutes, and the one by which clocks may differ
  expect(ended).toEqual([]);
  await clock.advance(1);
  await expect.poll(() => ended).toEqual(["call"]);
});

test.each([
  undefined,
  "",
  "Bearer ",
  "Basic YTpi",
  "Bearer a b",
  "Bearer a,Bearer b",
])("%j is no token, so nobody calls", async (authorization) => {
  expect(await finder(new FakeClock(START_MS))(callWith(authorization))).toBeUndefined();
});

test("a token without a name is refused, and so is one that names somebody by what is no text", async () => {
  for (const claim of ["/email", "/exp", "/toString"]) {
    const find = finder(new FakeClock(START_MS), claim);
    const call = callWith(`Bearer ${await issuer.sign(claims)}`);
    await expect(find(call), claim).rejects.toMatchObject({ reason: "OPERATOR_REQUIRED" });
  }
});
