import { X509Certificate } from "node:crypto";
import { SpanwireError } from "@spanwire/core/errors";
import { clusterKey } from "@spanwire/core/records/key";
import { afterEach, beforeEach, expect, test } from "vitest";
import { createFakeStateStore, type FakeStateStore } from "../state/fake-state-store.ts";
import { createGateway, startTestHub, type TestHub } from "./testing.ts";

let store: FakeStateStore;
let hub: TestHub;
beforeEach(async () => {
  store = createFakeStateStore();
  hub = await startTestHub(store);
});
afterEach(() => hub[Symbol.asyncDispose]());

const EU = { prefixes: ["10.1.0.0/16"] };

test("a token becomes a gateway with a certificate, a NATS user and the state of the map", async () => {
  const gateway = createGateway();
  const answer = await hub.register(gateway.register(await hub.token("eu"), EU));
  expect(answer).toMatchObject({ ordinal: 0, incarnation: 1n });
  expect(answer.credentials).toMatchObject({ meshId: "mesh-test", natsUserJwt: `jwt of ${gateway.nkey}` });
  const certificate = new X509Certificate(answer.credentials?.certificatePem ?? "");
  expect(certificate.subjectAltName).toBe("URI:spiffe://mesh-test/cluster/eu/gateway/0");
  const { lineage, sequence, digest } = hub.map.snapshot();
  expect(answer.mapState).toEqual({ lineage, sequence: BigInt(sequence), digest: new Uint8Array(digest) });
  expect(hub.map.records.admissions.get("eu")).toMatchObject({
    prefixes: ["10.1.0.0/16"],
    gateways: [{ ordinal: 0, incarnation: 1n, nkey: gateway.nkey }],
  });
});

test("the same request, sent again, gets the same answer and writes nothing", async () => {
  const gateway = createGateway();
  const token = await hub.token("eu");
  const first = await hub.register(gateway.register(token, EU));
  const revision = hub.map.revisionOf(clusterKey("eu"));
  const again = await hub.register(gateway.register(token, EU));
  expect(again).toMatchObject({ ordinal: first.ordinal, incarnation: first.incarnation });
  expect(hub.map.revisionOf(clusterKey("eu"))).toBe(revision);
});

test("of 50 gateways with one token one is admitted, and each of its retries gets the same answer", async () => {
  const token = await hub.token("eu");
  const gateways = Array.from({ length: 50 }, createGateway);
  const answers = await Promise.allSettled(gateways.map((gateway) => hub.register(gateway.register(token, EU))));
  const winners = gateways.filter((_, index) => answers[index]?.status === "fulfilled");
  expect(winners).toHaveLength(1);
  const refusals = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason.reason] : []));
  expect(new Set(refusals)).toEqual(new Set(["TOKEN_ALREADY_USED"]));
  const [winner = createGateway()] = winners;
  const retries = await Promise.all(Array.from({ length: 10 }, () => hub.register(winner.register(token, EU))));
  for (const retry of retries) expect(retry).toMatchObject({ ordinal: 0, incarnation: 1n });
  expect(hub.map.records.admissions.get("eu")?.gateways).toHaveLength(1);
});

test("50 gateways with tokens of their own are all admitted, wherever they ask", async () => {
  await using other = await startTestHub(store);
  const clusters = Array.from({ length: 50 }, (_, index) => `c${index}`);
  const tokens = await Promise.all(clusters.map((id) => hub.token(id)));
  const answers = await Promise.all(
    tokens.map((token, index) => {
      const request = createGateway().register(token, { prefixes: [`10.${index}.0.0/16`] });
      return (index % 2 === 0 ? hub : other).register(request);
    }),
  );
  expect(answers).toHaveLength(50);
  await hub.map.waitFor(other.map.sequence, AbortSignal.timeout(60_000));
  const blocks = [...hub.map.records.admissions.values()].map(({ overlayIndex }) => overlayIndex);
  expect(blocks.sort((a, b) => a - b)).toEqual(clusters.map((_, index) => index));
});

test("of overlapping prefixes that race through two hubs one is admitted", async () => {
  await using other = await startTestHub(store);
  const requests = await Promise.all(
    ["a", "b", "c", "d"].map(async (id) => createGateway().register(await hub.token(id), EU)),
  );
  const answers = await Promise.allSettled(requests.map((request, at) => (at % 2 ? hub : other).register(request)));
  const refusals = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason.reason] : []));
  expect(refusals).toEqual(["PREFIX_OVERLAP", "PREFIX_OVERLAP", "PREFIX_OVERLAP"]);
});

test("a refused request may be mended with the same token", async () => {
  await hub.register(createGateway().register(await hub.token("eu"), EU));
  const gateway = createGateway();
  const token = await hub.token("us");
  await expect(hub.register(gateway.register(token, EU))).rejects.toThrow('overlaps 10.1.0.0/16 of cluster "eu"');
  const mended = await hub.register(gateway.register(token, { prefixes: ["10.2.0.0/16"] }));
  expect(mended.ordinal).toBe(0);
});

test("a gateway that lost its disk takes its ordinal over; the one before is banned", async () => {
  const before = createGateway();
  await hub.register(before.register(await hub.token("eu"), EU));
  const after = createGateway();
  const answer = await hub.register(after.register(await hub.token("eu", { ordinal: 0 })));
  expect(answer).toMatchObject({ ordinal: 0, incarnation: 2n });
  expect(await hub.options.users.isBanned(before.nkey)).toBe(true);
  await expect(hub.renew(before.renew("eu"))).rejects.toMatchObject({ reason: "UNKNOWN_GATEWAY" });
  await expect(hub.renew(after.renew("eu"))).resolves.toBeDefined();
});

test("a second gateway gets the next ordinal", async () => {
  await hub.register(createGateway().register(await hub.token("eu"), EU));
  expect((await hub.register(createGateway().register(await hub.token("eu")))).ordinal).toBe(1);
});

/** A store whose hub is killed before its nth write: the write does not happen, nor anything after it. */
function dyingAt(whole: FakeStateStore, nth: number): FakeStateStore {
  let writes = 0;
  const die = () => {
    if (++writes >= nth) throw new SpanwireError("unavailable", "killed");
  };
  const wrap = <T extends object>(bucket: T): T =>
    new Proxy(bucket, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function" || !WRITES.has(String(name))) return value;
        return async (...args: unknown[]) => {
          die();
          return Reflect.apply(value, target, args);
        };
      },
    });
  return { ...whole, map: wrap(whole.map), registry: wrap(whole.registry) };
}
const WRITES = new Set(["put", "putCluster", "create", "update", "delete"]);

test.each([1, 2, 3, 4])("a hub that is killed before its write %i leaves only work for the next try", async (nth) => {
  await hub.register(createGateway().register(await hub.token("eu"), EU));
  const gateway = createGateway();
  const token = await hub.token("eu", { ordinal: 0 }); // claim, ban of the one before, admission
  await using dying = await startTestHub(dyingAt(store, nth));
  await dying.register(gateway.register(token)).catch((error: SpanwireError) => {
    if (error.message !== "killed") throw error;
  });
  expect(await hub.register(gateway.register(token))).toMatchObject({ ordinal: 0, incarnation: 2n });
  const other = createGateway();
  await expect(hub.register(other.register(token))).rejects.toMatchObject({ reason: "TOKEN_ALREADY_USED" });
  expect(hub.map.records.admissions.get("eu")?.gateways).toMatchObject([{ nkey: gateway.nkey, incarnation: 2n }]);
});

test("says so while the store is away, and goes on when it is back", async () => {
  const gateway = createGateway();
  const token = await hub.token("eu");
  store.goAway();
  await expect(hub.register(gateway.register(token, EU))).rejects.toMatchObject({ code: "unavailable" });
  store.comeBack();
  await expect.poll(() => hub.register(gateway.register(token, EU)).catch(() => undefined)).toBeDefined();
});

test.each([
  { name: "another method's proof", of: () => createGateway().renew("eu"), reason: "BAD_PROOF" },
  {
    name: "a body that was changed after it was signed",
    of: async () => {
      const request = createGateway().register(await hub.token("eu"));
      return { ...request, body: new Uint8Array([...request.body, 0x40, 0x01]) };
    },
    reason: "BAD_PROOF",
  },
  {
    name: "no proof",
    of: async () => ({ ...createGateway().register(await hub.token("eu")), proof: undefined }),
    reason: "BAD_PROOF",
  },
  {
    name: "an nkey with a wrong checksum",
    of: async () => createGateway().register(await hub.token("eu"), { nkey: `U${"A".repeat(55)}` }),
    reason: "INVALID_NKEY",
  },
  {
    name: "fields that break their rules",
    of: async () => createGateway().register(await hub.token("eu"), { prefixes: ["10.1.0.1/16"] }),
    reason: "INVALID_REQUEST",
  },
])("refuses $name", async ({ of, reason }) => {
  const request = await of();
  await expect(hub.register(request as never)).rejects.toMatchObject({ reason });
  expect(hub.map.records.admissions.size).toBe(0);
});
