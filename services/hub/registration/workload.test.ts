import { revokeCluster, revokeGateway } from "@spanwire/core/admission/revoke";
import type { SpanwireError } from "@spanwire/core/errors";
import { kubernetesRule } from "@spanwire/core/identity/workload-rule";
import { clusterKey } from "@spanwire/core/records/key";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NO_AUDIT } from "../audit/testing.ts";
import { AUDIENCE, createTestIssuer, ISSUER, type Pod, podClaims, type TestIssuer } from "../oidc/testing.ts";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import { endGateways } from "./end-gateways.ts";
import { storeInvite, withdrawInvite } from "./invites.ts";
import { createGateway, type Gateway, startTestHub, type TestHub } from "./testing.ts";

let store: FakeStateStore;
let hub: TestHub;
let eu: TestIssuer;
let us: TestIssuer;
beforeEach(async () => {
  store = createFakeStateStore();
  hub = await startTestHub(store);
  eu = await createTestIssuer("ES256", "key-1");
  us = await createTestIssuer("ES256", "key-1");
  await invite("eu", eu);
  await invite("us", us);
});
afterEach(() => hub[Symbol.asyncDispose]());

const POD: Pod = { name: "gateway-0", uid: "u-1" };
const NEXT: Pod = { name: "gateway-0", uid: "u-2" };

function invite(clusterId: string, issuer: TestIssuer) {
  const { jwks } = issuer;
  const common = { audience: AUDIENCE, issuer: ISSUER, createdAtMs: 0, lineage: hub.map.lineage };
  const rule = kubernetesRule("spanwire", "gateway");
  return storeInvite(store.registry, { clusterId, source: { kind: "given", jwks }, rule, ...common });
}

/** A token of the pod as the API server of `issuer` would give it `agoS` seconds ago. */
function tokenOf(issuer: TestIssuer, pod = POD, agoS = 0): Promise<string> {
  return issuer.sign(podClaims(pod, Date.now() - agoS * 1_000));
}

/** The ordinal, or the reason of the refusal. */
function join(clusterId: string, token: string, gateway: Gateway = createGateway(), at = hub) {
  return at.register(gateway.registerAs(clusterId, token)).then(
    ({ ordinal }) => ordinal,
    ({ reason }: SpanwireError) => reason,
  );
}

test("a pod becomes the gateway of its ordinal by its token, and again by the next one", async () => {
  const gateway = createGateway();
  expect(await join("eu", await tokenOf(eu, { name: "gateway-2", uid: "u-1" }), gateway)).toBe(2);
  const revision = hub.map.revisionOf(clusterKey("eu"));
  expect(await join("eu", await tokenOf(eu, { name: "gateway-2", uid: "u-1" }), gateway)).toBe(2);
  expect(hub.map.revisionOf(clusterKey("eu"))).toBe(revision);
});

test("a token of one cluster is none of another with the same issuer and key id", async () => {
  expect(await join("us", await tokenOf(eu))).toBe("JWT_INVALID");
  expect(await join("eu", await tokenOf(us))).toBe("JWT_INVALID");
  expect(await join("asia", await tokenOf(eu))).toBe("WORKLOAD_NOT_INVITED");
  expect(hub.map.records.admissions.size).toBe(0);
});

test("a replaced pod takes its predecessor's place, which is banned and never comes back", async () => {
  const [first, second] = [createGateway(), createGateway()];
  expect(await join("eu", await tokenOf(eu, POD, 20), first)).toBe(0);
  expect(await join("eu", await tokenOf(eu, NEXT, 5), second)).toBe(0);
  expect(hub.map.records.admissions.get("eu")?.gateways).toMatchObject([
    { ordinal: 0, incarnation: 2n, nkey: second.nkey },
  ]);
  expect(await hub.options.users.isBanned(first.nkey)).toBe(true);
  await expect(hub.renew(first.renew("eu"))).rejects.toMatchObject({ reason: "UNKNOWN_GATEWAY" });
  expect(await join("eu", await tokenOf(eu, POD, 10), first)).toBe("WORKLOAD_SUPERSEDED");
  expect(await join("eu", await tokenOf(eu, NEXT), second)).toBe(0);
});

test("of 50 identities with one pod's token, through two hubs, one is admitted", async () => {
  await using other = await startTestHub(store);
  const token = await tokenOf(eu);
  const gateways = Array.from({ length: 50 }, createGateway);
  const answers = await Promise.all(gateways.map((gateway, at) => join("eu", token, gateway, at % 2 ? hub : other)));
  expect(answers.filter((answer) => answer === 0)).toHaveLength(1);
  expect(new Set(answers)).toEqual(new Set([0, "WORKLOAD_ALREADY_JOINED"]));
});

test("a pod of which the identity was lost says what to do", async () => {
  await join("eu", await tokenOf(eu));
  const lost = hub.register(createGateway().registerAs("eu", await tokenOf(eu)));
  await expect(lost).rejects.toThrow("delete its pod, or create a token with: spanwire token create eu --ordinal 0");
});

test("a VM of a cloud joins by the token of its own platform, as the rule maps its claims", async () => {
  const rule = {
    subject: "1234",
    claims: { "/google/compute_engine/zone": "a" },
    ordinal: { fixed: 1 },
    instancePointer: "/google/compute_engine/instance_id",
  };
  const common = { audience: "spanwire-hub", createdAtMs: 0, lineage: hub.map.lineage };
  await storeInvite(store.registry, { clusterId: "vm", source: { kind: "given", jwks: eu.jwks }, rule, ...common });
  const iat = Math.floor(Date.now() / 1_000);
  const claims = { aud: "spanwire-hub", sub: "1234", iat, exp: iat + 3_600 };
  const at = (zone: string) => eu.sign({ ...claims, google: { compute_engine: { instance_id: "i-7", zone } } });
  expect(await join("vm", await at("b"))).toBe("WORKLOAD_WRONG_CLAIM");
  expect(await join("vm", await at("a"))).toBe(1);
  expect(await join("vm", await tokenOf(eu))).toBe("WORKLOAD_WRONG_SUBJECT");
});

test("an ordinal beyond the mesh's, and another than the pod's, are refused", async () => {
  expect(await join("eu", await tokenOf(eu, { name: "gateway-4", uid: "u" }))).toBe("ORDINAL_OUT_OF_RANGE");
  const wrong = createGateway().registerAs("eu", await tokenOf(eu), { ordinal: 1 });
  await expect(hub.register(wrong)).rejects.toMatchObject({ reason: "TOKEN_WRONG_ORDINAL" });
});

test("an invite is void in a store made anew, and none any more when it was withdrawn", async () => {
  await withdrawInvite(store.registry, "us");
  expect(await join("us", await tokenOf(us))).toBe("WORKLOAD_NOT_INVITED");
  const common = { audience: AUDIENCE, issuer: undefined, createdAtMs: 0, lineage: hub.map.lineage + 1n };
  const rule = kubernetesRule("spanwire", "gateway");
  await storeInvite(store.registry, { clusterId: "eu", source: { kind: "given", jwks: eu.jwks }, rule, ...common });
  expect(await join("eu", await tokenOf(eu))).toBe("WORKLOAD_NOT_INVITED");
});

function end(decide: Parameters<typeof endGateways>[1]["decide"]) {
  const about = { reason: "test", audit: NO_AUDIT, action: "end", target: "gateway.eu.0" };
  return endGateways(hub.options, { clusterId: "eu", decide, ...about, signal: AbortSignal.timeout(60_000) });
}

test("a revoked instance stays out with any identity; the next one at its ordinal may join", async () => {
  const gateway = createGateway();
  await join("eu", await tokenOf(eu, POD, 10), gateway);
  await end((registry) => revokeGateway(registry, "eu", 0));
  expect(await join("eu", await tokenOf(eu), gateway)).toBe("WORKLOAD_REVOKED");
  expect(await join("eu", await tokenOf(eu))).toBe("WORKLOAD_REVOKED");
  expect(await join("eu", await tokenOf(eu, NEXT))).toBe(0);
});

test("a cluster that is revoked while its pod registers has no gateway afterwards", async () => {
  await join("eu", await tokenOf(eu, { name: "gateway-1", uid: "u-0" }));
  await end((registry) => revokeGateway(registry, "eu", 1));
  for (let round = 0; round < 20; round++) {
    await invite("eu", eu);
    const uid = `round-${round}`;
    const joining = join("eu", await tokenOf(eu, { name: "gateway-0", uid }));
    for (let step = 0; step < round; step++) await Promise.resolve();
    await withdrawInvite(store.registry, "eu");
    await end((registry) => revokeCluster(registry, "eu", { mustWrite: true }));
    expect([0, "WORKLOAD_NOT_INVITED", "WORKLOAD_REVOKED"], `round ${round}`).toContain(await joining);
    expect(hub.map.records.admissions.get("eu")?.gateways, `round ${round}`).toEqual([]);
  }
});
