import { deleteCluster, revokeCluster, revokeGateway } from "@spanwire/core/admission/revoke";
import { SpanwireError } from "@spanwire/core/errors";
import { gatewayKey } from "@spanwire/core/records/key";
import { MESH_ID, recordsBy } from "@spanwire/core/records/testing";
import { afterEach, beforeEach, expect, test } from "vitest";
import { NO_AUDIT } from "../audit/testing.ts";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import { crypto, root } from "../state/testing.ts";
import { endGateways } from "./end-gateways.ts";
import { createGateway, type Gateway, startTestHub, type TestHub } from "./testing.ts";

let store: FakeStateStore;
let hub: TestHub;
let gateway: Gateway;
beforeEach(async () => {
  store = createFakeStateStore();
  hub = await startTestHub(store);
  gateway = createGateway();
  await hub.register(gateway.register(await hub.token("eu"), EU));
});
afterEach(() => hub[Symbol.asyncDispose]());

const UNHEARD = { audit: NO_AUDIT, action: "gateway.revoke", target: "gateway.eu.0" };
const EU = { prefixes: ["10.1.0.0/16"] };
const signal = AbortSignal.timeout(60_000);

function revoke(at: TestHub, ordinal = 0) {
  const decide: Parameters<typeof endGateways>[1]["decide"] = (registry) => revokeGateway(registry, "eu", ordinal);
  return endGateways(at.options, { clusterId: "eu", decide, reason: "test", ...UNHEARD, signal });
}

async function publish(of: Gateway, incarnation = 1n, generation = 1n): Promise<void> {
  const bytes = await recordsBy(root, crypto).statement(of.signer, "eu", { incarnation, generation });
  const key = gatewayKey("eu", 0);
  const written = await store.map.put(key, bytes, { expectedRevision: hub.map.revisionOf(key) });
  if (!written.ok) throw new Error(written.conflict);
  await hub.map.waitFor(written.revision, signal);
}

test("a revoked gateway is banned, has a tombstone, and its cluster keeps its prefixes", async () => {
  await publish(gateway);
  const ended = await revoke(hub);
  expect(ended).toMatchObject([{ key: "gateway.eu.0", incarnation: 2n, generation: 0n }]);
  expect(ended[0]?.sequence).toBe(BigInt(hub.map.revisionOf("gateway.eu.0")));
  expect(hub.map.records.statements.size).toBe(0);
  expect(hub.map.records.admissions.get("eu")).toMatchObject({ prefixes: ["10.1.0.0/16"], gateways: [] });
  expect(await hub.options.users.isBanned(gateway.nkey)).toBe(true);
  await expect(hub.renew(gateway.renew("eu"))).rejects.toMatchObject({ reason: "UNKNOWN_GATEWAY" });
  await expect(revoke(hub)).rejects.toMatchObject({ reason: "GATEWAY_NOT_FOUND" });
});

test("an ended identity does not come back by its old token, with its nkey or another", async () => {
  const token = await hub.token("eu", { ordinal: 0 });
  const other = createGateway();
  await hub.register(other.register(token));
  await revoke(hub);
  await expect(hub.register(other.register(token))).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  const { nkey } = createGateway();
  await expect(hub.register(other.register(token, { nkey }))).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  const again = hub.register(other.register(await hub.token("eu")));
  await expect(again).rejects.toMatchObject({ reason: "NKEY_REVOKED" });
});

test("a new gateway in its place goes on above its orders", async () => {
  await publish(gateway);
  await revoke(hub);
  const answer = await hub.register(createGateway().register(await hub.token("eu")));
  expect(answer).toMatchObject({ ordinal: 0, incarnation: 3n });
});

test("a gateway that never spoke gets a tombstone as well, and so does each one after it", async () => {
  const orders = [];
  for (let round = 0; round < 3; round++) {
    orders.push(...(await revoke(hub)).map(({ incarnation }) => incarnation));
    await hub.register(createGateway().register(await hub.token("eu")));
  }
  expect(orders).toEqual([2n, 4n, 6n]);
});

test.each([
  { name: "a revocation", end: revoke },
  { name: "a deletion", end: (at: TestHub) => endCluster(at, deleteCluster) },
  { name: "a revocation of the whole cluster", end: (at: TestHub) => endCluster(at, revokeCluster) },
])("$name that is cut anywhere is finished by repeating it", async ({ end }) => {
  for (let nth = 1; nth <= 8; nth++) {
    const own = createFakeStateStore();
    await using first = await startTestHub(own);
    const member = createGateway();
    await first.register(member.register(await first.token("eu"), EU));
    let writes = 0;
    const put = own.map.put;
    const dying = {
      ...own,
      map: { ...own.map, put: die(put), putCluster: die(own.map.putCluster) },
      registry: { ...own.registry, create: die(own.registry.create), update: die(own.registry.update) },
    };
    function die<A extends unknown[], R>(call: (...args: A) => Promise<R>): (...args: A) => Promise<R> {
      return async (...args) => {
        if (++writes >= nth) throw new SpanwireError("unavailable", "killed");
        return call(...args);
      };
    }
    await using hubThatDies = await startTestHub(dying);
    writes = 0;
    await end(hubThatDies).catch(() => {});
    await end(first).catch((error: SpanwireError) => expect(error.code).toBe("not-found"));
    expect(first.map.records.admissions.get("eu")?.gateways ?? []).toEqual([]);
    expect(first.map.records.get("gateway.eu.0")?.payload.body.case).toBe("tombstone");
    expect(await first.options.users.isBanned(member.nkey)).toBe(true);
  }
});

function endCluster(at: TestHub, decide: typeof deleteCluster) {
  const options = { clusterId: "eu", reason: "test", ...UNHEARD, signal };
  return endGateways(at.options, { ...options, decide: (registry) => decide(registry, "eu") });
}

test("a deleted cluster frees its prefixes and its block; the id goes on above its orders", async () => {
  const ended = await endCluster(hub, deleteCluster);
  expect(ended.map(({ key }) => key)).toEqual(["gateway.eu.0", "cluster.eu"]);
  expect(hub.map.records.admissions.size).toBe(0);
  await hub.register(createGateway().register(await hub.token("us"), EU));
  expect(hub.map.records.admissions.get("us")?.overlayIndex).toBe(0);
  const again = await hub.register(createGateway().register(await hub.token("eu"), { prefixes: ["10.9.0.0/16"] }));
  expect(again.incarnation).toBe(3n);
  expect(hub.map.records.get("cluster.eu")?.order.incarnation).toBe(3n);
});

test("a registration that is under way when its cluster is revoked loses or is ended", async () => {
  for (let round = 0; round < 20; round++) {
    const late = createGateway();
    const token = await hub.token("eu");
    const [joined] = await Promise.allSettled([hub.register(late.register(token)), endCluster(hub, revokeCluster)]);
    const admitted = hub.map.records.admissions.get("eu")?.gateways.map(({ nkey }) => nkey) ?? [];
    const isBanned = await hub.options.users.isBanned(late.nkey);
    expect(admitted.includes(late.nkey)).toBe(joined.status === "fulfilled" && !isBanned);
  }
});

test("a revocation that is written between a registration's reads and its own write is seen", async () => {
  const token = await hub.token("eu", { ordinal: 1 });
  const member = createGateway();
  await hub.register(member.register(token));
  const { putCluster } = store.map;
  let revoking: Promise<unknown> | undefined;
  const interrupted: FakeStateStore = {
    ...store,
    map: {
      ...store.map,
      async putCluster(...args) {
        revoking ??= revoke(hub, 1);
        await revoking;
        return putCluster(...args);
      },
    },
  };
  await using other = await startTestHub(interrupted);
  const { nkey } = createGateway();
  const again = other.register(member.register(token, { nkey }));
  await expect(again).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  expect(hub.map.records.admissions.get("eu")?.gateways.map(({ ordinal }) => ordinal)).toEqual([0]);
});

test("a renewal that races a revocation through another hub never outlives it", async () => {
  await using other = await startTestHub(store);
  const [renewals] = await Promise.all([
    Promise.allSettled(Array.from({ length: 20 }, () => hub.renew(gateway.renew("eu")))),
    revoke(other),
  ]);
  for (const renewal of renewals) {
    if (renewal.status === "rejected") {
      expect(["UNKNOWN_GATEWAY", "NKEY_REVOKED"]).toContain(renewal.reason.reason);
    }
  }
  await expect(hub.renew(gateway.renew("eu"))).rejects.toMatchObject({ code: "denied" });
  expect(await hub.options.users.isBanned(gateway.nkey)).toBe(true);
});

test("renews for the admitted identity only", async () => {
  const { credentials, mapState } = await hub.renew(gateway.renew("eu"));
  expect(credentials).toMatchObject({ meshId: MESH_ID, natsUserJwt: `jwt of ${gateway.nkey}` });
  expect(mapState?.sequence).toBe(BigInt(hub.map.sequence));
  for (const wrong of [createGateway().renew("eu"), gateway.renew("us"), gateway.renew("eu", 1)]) {
    await expect(hub.renew(wrong)).rejects.toMatchObject({ reason: "UNKNOWN_GATEWAY" });
  }
});

test("leaves once, and is told the same again", async () => {
  await hub.leave(gateway.leave("eu"));
  expect(hub.map.records.admissions.get("eu")?.gateways).toEqual([]);
  expect(hub.map.records.get("gateway.eu.0")?.payload.body).toMatchObject({ value: { reason: "left" } });
  await hub.leave(gateway.leave("eu"));
  await expect(hub.leave(gateway.leave("us"))).rejects.toMatchObject({ reason: "UNKNOWN_GATEWAY" });
});

test("nobody else can make a gateway leave", async () => {
  await expect(hub.leave(createGateway().leave("eu"))).rejects.toMatchObject({ reason: "UNKNOWN_GATEWAY" });
  const renewal = gateway.renew("eu");
  await expect(hub.leave({ ...gateway.leave("eu"), proof: renewal.proof })).rejects.toMatchObject({
    reason: "BAD_PROOF",
  });
  expect(hub.map.records.admissions.get("eu")?.gateways).toHaveLength(1);
});
