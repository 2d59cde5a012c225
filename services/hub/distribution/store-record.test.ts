import { describe, expect, test } from "vitest";
import { createFakeStateStore } from "../state/fake-state-store.ts";
import { by, followMap, online, root, signerFrom, writeRecords } from "../state/testing.ts";
import { storeRecord } from "./store-record.ts";

const eu0 = signerFrom(3);
const us0 = signerFrom(4);
const { signal } = new AbortController();

describe("store a statement", () => {
  test("byte for byte, and a retry gets the same order without another write", async () => {
    await using hub = await hubWithTwoClusters();
    const bytes = await by.statement(eu0, "eu");
    const first = await hub.send(bytes);
    expect(first.outcome).toMatchObject({ case: "stored", value: { incarnation: 1n, generation: 1n } });
    expect((await hub.store.map.get("gateway.eu.0"))?.bytes).toEqual(bytes);

    const { sequence } = hub.map;
    expect((await hub.send(bytes)).outcome).toMatchObject({ case: "stored", value: { generation: 1n } });
    expect(hub.map.sequence).toBe(sequence);
  });

  test("a gateway that lost its disk learns the order that is stored", async () => {
    await using hub = await hubWithTwoClusters();
    await hub.send(await by.statement(eu0, "eu", { generation: 7n }));
    const { outcome } = await hub.send(await by.statement(eu0, "eu", { generation: 1n }));
    expect(outcome).toMatchObject({
      case: "refused",
      value: { reason: "STALE_ORDER", incarnation: 1n, generation: 7n },
    });
  });

  test.each([
    { name: "another cluster's identity", bytes: () => by.statement(us0, "eu"), want: "UNKNOWN_SIGNER" },
    { name: "the root authority", bytes: () => by.statement(root, "eu"), want: "NOT_ENTITLED" },
    { name: "a later incarnation", bytes: () => by.statement(eu0, "eu", { incarnation: 2n }), want: "NOT_ENTITLED" },
    {
      name: "an endpoint inside the mesh",
      bytes: () => by.statement(eu0, "eu", { host: "198.18.0.9" }),
      want: "ENDPOINT_IN_MESH",
    },
    { name: "what is no record", bytes: async () => new Uint8Array([1, 2, 3]), want: "MALFORMED" },
    { name: "nothing", bytes: async () => new Uint8Array(), want: "MALFORMED" },
    {
      name: "a key that is a wildcard",
      bytes: () => by.sign(root, { key: "cluster.*", incarnation: 1n, generation: 1n }),
      want: "MALFORMED",
    },
    {
      name: "an order that nobody can have signed yet",
      bytes: () => by.statement(eu0, "eu", { generation: 0n }),
      want: "STALE_ORDER",
    },
  ])("refuses $name: $want", async ({ bytes, want }) => {
    await using hub = await hubWithTwoClusters();
    const { sequence } = hub.map;
    expect((await hub.send(await bytes())).outcome).toMatchObject({ case: "refused", value: { reason: want } });
    expect(hub.map.sequence).toBe(sequence);
  });

  test("the second claim of a WireGuard public key", async () => {
    await using hub = await hubWithTwoClusters();
    const publicKey = new Uint8Array(32).fill(8);
    await hub.send(await by.statement(eu0, "eu", { publicKey }));
    const { outcome } = await hub.send(await by.statement(us0, "us", { publicKey }));
    expect(outcome).toMatchObject({ case: "refused", value: { reason: "KEY_CLAIMED" } });
  });

  test("nor may a head or an acknowledgement take a place in the map", async () => {
    await using hub = await hubWithTwoClusters();
    const head = await by.sign(online, {
      key: "head",
      incarnation: 9n,
      generation: 9n,
      body: { case: "head", value: {} },
    });
    expect((await hub.send(head)).outcome).toMatchObject({ case: "refused", value: { reason: "NOT_IN_MAP" } });
  });

  test("two hubs store the same statement at the same time: both say stored", async () => {
    const store = createFakeStateStore();
    await using one = await hubWithTwoClusters(store);
    await using other = await hubWithTwoClusters(store);
    const bytes = await by.statement(eu0, "eu");
    const outcomes = await Promise.all([one.send(bytes), other.send(bytes)]);
    expect(outcomes.map(({ outcome }) => outcome.case)).toEqual(["stored", "stored"]);
  });
});

describe("takes back what the store has lost", () => {
  const order = { incarnation: 3n, generation: 1n };
  const asia = (value: { prefixes: string[]; overlayIndex: number }) =>
    by.sign(root, {
      key: "cluster.asia",
      ...order,
      body: { case: "admission", value: { clusterId: "asia", ...value } },
    });

  test.each([
    { name: "an admission", key: "cluster.asia", bytes: () => asia({ prefixes: ["10.9.0.0/16"], overlayIndex: 5 }) },
    {
      name: "another gateway's statement",
      key: "gateway.us.0",
      bytes: () => by.statement(us0, "us", { generation: 5n }),
    },
    {
      name: "a tombstone",
      key: "gateway.us.0",
      bytes: () => by.sign(online, { key: "gateway.us.0", ...order, body: { case: "tombstone", value: {} } }),
    },
    {
      name: "an epoch",
      key: "epoch",
      bytes: () => by.sign(online, { key: "epoch", ...order, body: { case: "epoch", value: { active: 4n } } }),
    },
    {
      name: "a record of a later version",
      key: "novelty.a",
      bytes: () => by.sign(root, { key: "novelty.a", ...order }),
    },
  ])("$name", async ({ key, bytes }) => {
    await using hub = await hubWithTwoClusters();
    const lost = await bytes();
    expect((await hub.send(lost)).outcome.case).toBe("stored");
    expect((await hub.store.map.get(key))?.bytes).toEqual(lost);
  });

  test("in a lineage that grows once for all of it, and not for statements", async () => {
    await using hub = await hubWithTwoClusters();
    const { lineage } = hub.map;
    await hub.send(await by.statement(us0, "us", { generation: 5n }));
    expect(hub.map.lineage).toBe(lineage);

    const first = await hub.send(await asia({ prefixes: ["10.9.0.0/16"], overlayIndex: 5 }));
    const grown = hub.map.lineage;
    expect(grown).toBeGreaterThan(lineage);
    expect(first.outcome).toMatchObject({ case: "stored", value: { lineage: grown } });
    expect(hub.incidents).toContainEqual({ kind: "lineage", from: lineage, to: grown });

    await hub.send(await by.sign(online, { key: "gateway.us.0", ...order, body: { case: "tombstone", value: {} } }));
    expect(hub.map.lineage).toBe(grown);
  });

  test.each([
    {
      name: "one that is older",
      bytes: () =>
        by.sign(online, { key: "epoch", incarnation: 0n, generation: 9n, body: { case: "epoch", value: {} } }),
      want: "STALE_ORDER",
    },
    {
      name: "another one of the same order",
      bytes: () =>
        by.sign(online, {
          key: "epoch",
          incarnation: 1n,
          generation: 1n,
          body: { case: "epoch", value: { active: 8n } },
        }),
      want: "FORK",
    },
    {
      name: "an admission that the online key signed",
      bytes: () => by.sign(online, { key: "cluster.eu", ...order, body: { case: "admission", value: {} } }),
      want: "NOT_ENTITLED",
    },
    {
      name: "an admission whose prefixes are another cluster's now",
      bytes: () => asia({ prefixes: ["10.1.3.0/24"], overlayIndex: 5 }),
      want: "PREFIX_OVERLAP",
    },
    {
      name: "an admission whose block is another cluster's now",
      bytes: () => asia({ prefixes: ["10.9.0.0/16"], overlayIndex: 0 }),
      want: "BLOCK_TAKEN",
    },
  ])("but not $name", async ({ bytes, want }) => {
    await using hub = await hubWithTwoClusters();
    const { sequence } = hub.map;
    expect((await hub.send(await bytes())).outcome).toMatchObject({ case: "refused", value: { reason: want } });
    expect(hub.map.sequence).toBe(sequence);
  });
});

async function hubWithTwoClusters(store = createFakeStateStore()) {
  if ((await store.map.get("mesh")) === undefined) {
    const order = { incarnation: 1n, generation: 1n };
    const mesh = { meshId: "mesh-test", overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd18::/48", maxGateways: 2 };
    await writeRecords(store, {
      mesh: await by.sign(root, { key: "mesh", ...order, body: { case: "mesh", value: mesh } }),
      delegation: await by.delegation(online),
      epoch: await by.sign(online, {
        key: "epoch",
        ...order,
        body: { case: "epoch", value: { active: 0n, state: 1 } },
      }),
      "cluster.eu": await by.admission("eu", [eu0]),
      "cluster.us": await by.admission("us", [us0]),
    });
  }
  const following = followMap(store);
  await following.map.whenCurrent(signal);
  const options = { map: following.map, bucket: store.map };
  return {
    store,
    map: following.map,
    incidents: following.incidents,
    send: (bytes: Uint8Array) => storeRecord(options, bytes, signal),
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}
