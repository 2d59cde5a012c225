import { describe, expect, test } from "vitest";
import { createFakeStateStore } from "../state/fake-state-store.ts";
import { by, followMap, online, root, signerFrom, writeRecords } from "../state/testing.ts";
import { storeStatement } from "./store-statement.ts";

const eu0 = signerFrom(3);
const us0 = signerFrom(4);
const EU = { clusterId: "eu", ordinal: 0 };
const { signal } = new AbortController();

describe("store a statement", () => {
  test("byte for byte, and a retry gets the same order without another write", async () => {
    await using hub = await hubWithTwoClusters();
    const bytes = await by.statement(eu0, "eu");
    const first = await hub.send(EU, bytes);
    expect(first.outcome).toMatchObject({ case: "stored", value: { incarnation: 1n, generation: 1n } });
    expect((await hub.store.map.get("gateway.eu.0"))?.bytes).toEqual(bytes);

    const { sequence } = hub.map;
    expect((await hub.send(EU, bytes)).outcome).toMatchObject({ case: "stored", value: { generation: 1n } });
    expect(hub.map.sequence).toBe(sequence);
  });

  test("a gateway that lost its disk learns the order that is stored", async () => {
    await using hub = await hubWithTwoClusters();
    await hub.send(EU, await by.statement(eu0, "eu", { generation: 7n }));
    const { outcome } = await hub.send(EU, await by.statement(eu0, "eu", { generation: 1n }));
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
    { name: "nothing", bytes: async () => new Uint8Array(), want: "UNKNOWN_SIGNER" },
  ])("refuses $name: $want", async ({ bytes, want }) => {
    await using hub = await hubWithTwoClusters();
    const { sequence } = hub.map;
    expect((await hub.send(EU, await bytes())).outcome).toMatchObject({ case: "refused", value: { reason: want } });
    expect(hub.map.sequence).toBe(sequence);
  });

  test("the second claim of a WireGuard public key", async () => {
    await using hub = await hubWithTwoClusters();
    const publicKey = new Uint8Array(32).fill(8);
    await hub.send(EU, await by.statement(eu0, "eu", { publicKey }));
    const { outcome } = await hub.send({ clusterId: "us", ordinal: 0 }, await by.statement(us0, "us", { publicKey }));
    expect(outcome).toMatchObject({ case: "refused", value: { reason: "KEY_CLAIMED" } });
  });

  test("two hubs store the same statement at the same time: both say stored", async () => {
    const store = createFakeStateStore();
    await using one = await hubWithTwoClusters(store);
    await using other = await hubWithTwoClusters(store);
    const bytes = await by.statement(eu0, "eu");
    const outcomes = await Promise.all([one.send(EU, bytes), other.send(EU, bytes)]);
    expect(outcomes.map(({ outcome }) => outcome.case)).toEqual(["stored", "stored"]);
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
  const options = { map: following.map, bucket: store.map, isBanned: () => false };
  return {
    store,
    map: following.map,
    send: (sender: typeof EU, bytes: Uint8Array) => storeStatement(options, sender, bytes, signal),
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}
