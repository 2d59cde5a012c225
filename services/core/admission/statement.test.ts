import { describe, expect, test } from "vitest";
import { revokeGateway } from "./revoke.ts";
import { judgeStatement, type StatementOffer } from "./statement.ts";
import { join, testEpoch, testRegistry, testStatement } from "./testing.ts";

/** "eu" with gateways 0 and 1; 0 has said generation 5, with key 7. */
function registryWithEu() {
  const registry = testRegistry();
  join(registry, "eu", { identity: 1, prefixes: ["10.1.0.0/16"] });
  join(registry, "eu", { identity: 2 });
  join(registry, "us", { identity: 3, prefixes: ["10.2.0.0/16"] });
  registry.say("eu", 0, { generation: 5n, keyByte: 7 });
  return registry;
}

function offer(fields: Partial<StatementOffer> = {}): StatementOffer {
  return {
    sender: { clusterId: "eu", ordinal: 0 },
    statement: testStatement("eu", 0, 8),
    order: { incarnation: 1n, generation: 6n },
    isStored: false,
    epoch: testEpoch(),
    ...fields,
  };
}

test("a newer statement is stored, the one that is stored is a retry", () => {
  expect(judgeStatement(registryWithEu(), offer())).toEqual({ ok: true, store: true });
  const retry = offer({ order: { incarnation: 1n, generation: 5n }, isStored: true });
  expect(judgeStatement(registryWithEu(), retry)).toEqual({ ok: true, store: false });
});

test("a gateway keeps its own key in a newer statement", () => {
  expect(judgeStatement(registryWithEu(), offer({ statement: testStatement("eu", 0, 7) }))).toMatchObject({ ok: true });
});

describe("an order", () => {
  test.each([
    { name: "older than the stored one", generation: 4n, isStored: false, reason: "STALE_ORDER" },
    { name: "equal, with other bytes", generation: 5n, isStored: false, reason: "FORK" },
  ])("$name is refused, with what is stored", ({ generation, isStored, reason }) => {
    const verdict = judgeStatement(registryWithEu(), offer({ order: { incarnation: 1n, generation }, isStored }));
    expect(verdict).toMatchObject({ ok: false, reason, held: { incarnation: 1n, generation: 5n } });
  });

  test.each([
    { incarnation: 2n, generation: 1n },
    { incarnation: 0n, generation: 9n },
    { incarnation: 1n, generation: 0n },
  ])("$incarnation.$generation of another incarnation, or without a generation, is refused", (order) => {
    const message = `statement of eu.0: its order ${order.incarnation}.${order.generation} must be 1.1 or later`;
    expect(judgeStatement(registryWithEu(), offer({ order }))).toEqual({ ok: false, reason: "STALE_ORDER", message });
  });
});

test("a revoked gateway may say nothing, and its successor goes on", () => {
  const registry = registryWithEu();
  registry.write(revokeGateway(registry, "eu", 0));
  expect(judgeStatement(registry, offer())).toMatchObject({ reason: "UNKNOWN_GATEWAY" });
  join(registry, "eu", { identity: 4 });
  expect(judgeStatement(registry, offer())).toMatchObject({ reason: "STALE_ORDER" });
  expect(judgeStatement(registry, offer({ order: { incarnation: 3n, generation: 1n } }))).toMatchObject({ ok: true });
});

test("a gateway speaks for itself only", () => {
  const message = "statement of eu.1: sent by gateway eu.0, which speaks for itself only";
  const verdict = judgeStatement(registryWithEu(), offer({ statement: testStatement("eu", 1) }));
  expect(verdict).toEqual({ ok: false, reason: "BAD_STATEMENT", message });
});

describe("a WireGuard public key", () => {
  test("belongs to who stored it first in its epoch", () => {
    const sender = { clusterId: "us", ordinal: 0 };
    const order = { incarnation: 1n, generation: 1n };
    const stolen = offer({ sender, order, statement: testStatement("us", 0, 7) });
    const message = 'statement of us.0: record "gateway.eu.0" stored one of its WireGuard public keys first';
    expect(judgeStatement(registryWithEu(), stolen)).toEqual({ ok: false, reason: "KEY_CLAIMED", message });
  });

  test.each([
    { name: "is short", keys: [{ plane: 1, epoch: 0n, publicKey: new Uint8Array(31) }] },
    { name: "is on the other plane", keys: [{ plane: 2, epoch: 0n, publicKey: new Uint8Array(32) }] },
    {
      name: "is one of two for an epoch",
      keys: [
        { plane: 1, epoch: 0n, publicKey: new Uint8Array(32) },
        { plane: 1, epoch: 0n, publicKey: new Uint8Array(32).fill(1) },
      ],
    },
  ] as const)("that $name is refused", ({ keys }) => {
    const statement = testStatement("eu", 0);
    const verdict = judgeStatement(
      registryWithEu(),
      offer({
        statement: {
          ...statement,
          keys: keys.map((key) => ({ ...statement.keys[0], ...key })) as typeof statement.keys,
        },
      }),
    );
    expect(verdict).toMatchObject({ ok: false, reason: "BAD_STATEMENT" });
  });

  test("for an epoch that is not open waits until it is", () => {
    const statement = testStatement("eu", 0, 8);
    const [key] = statement.keys;
    const ahead = offer({
      statement: { ...statement, keys: key === undefined ? [] : [{ ...key, plane: 2, epoch: 1n }] },
    });
    expect(judgeStatement(registryWithEu(), ahead)).toMatchObject({ ok: false, reason: "EPOCH_UNKNOWN" });
    const epoch = { ...testEpoch(), opening: 1n };
    expect(judgeStatement(registryWithEu(), { ...ahead, epoch })).toEqual({ ok: true, store: true });
  });
});

describe("an endpoint", () => {
  test.each([
    { host: "10.1.0.1", reason: "ENDPOINT_IN_MESH", says: 'lies in 10.1.0.0/16 of cluster "eu"' },
    { host: "10.2.0.1", reason: "ENDPOINT_IN_MESH", says: 'lies in 10.2.0.0/16 of cluster "us"' },
    { host: "198.19.0.1", reason: "ENDPOINT_IN_MESH", says: "lies in 198.18.0.0/15, the mesh's own range" },
    { host: "fd5a:1::7", reason: "ENDPOINT_IN_MESH", says: "lies in fd5a:1::/48, the mesh's own range" },
    {
      host: "10.1",
      reason: "BAD_ENDPOINT",
      says: 'endpoint "10.1" of gateway eu.0 is neither an IP address nor a DNS name',
    },
    { host: "a b", reason: "BAD_ENDPOINT", says: "neither an IP address nor a DNS name" },
    { host: "gw.example", basePort: 65_533, reason: "BAD_ENDPOINT", says: "4 ports from base_port on" },
    { host: "gw.example", basePort: 0, reason: "BAD_ENDPOINT", says: "must be 1 to 65535" },
    { host: "gw.example", ports: [51_820, 70_000], reason: "BAD_ENDPOINT", says: "must be 1 to 65535" },
    { host: "gw.example", ports: new Array<number>(33).fill(1), reason: "BAD_ENDPOINT", says: "or those listed" },
  ])("$host is refused: $says", ({ host, basePort = 51_820, ports = [], reason, says }) => {
    const statement = testStatement("eu", 0, 8);
    const [endpoint] = statement.endpoints;
    const endpoints = endpoint === undefined ? [] : [{ ...endpoint, host, basePort, ports }];
    const verdict = judgeStatement(registryWithEu(), offer({ statement: { ...statement, endpoints } }));
    expect(verdict).toMatchObject({ ok: false, reason });
    expect(verdict.ok || verdict.message).toContain(says);
  });

  test("may be missing: then the gateway dials the others", () => {
    const statement = { ...testStatement("eu", 0, 8), endpoints: [] };
    expect(judgeStatement(registryWithEu(), offer({ statement }))).toEqual({ ok: true, store: true });
  });
});

test.each([
  { name: "17 endpoints", fields: { endpoints: new Array(17).fill(testStatement("eu", 0).endpoints[0]) } },
  { name: "3 keys", fields: { keys: new Array(3).fill(testStatement("eu", 0).keys[0]) } },
  { name: "65 features", fields: { features: new Array<string>(65).fill("x") } },
  { name: "a long feature", fields: { features: ["x".repeat(65)] } },
  { name: "a long version", fields: { agentVersion: "x".repeat(65) } },
])("a statement with $name is too large", ({ fields }) => {
  const verdict = judgeStatement(registryWithEu(), offer({ statement: { ...testStatement("eu", 0), ...fields } }));
  expect(verdict).toMatchObject({ ok: false, reason: "BAD_STATEMENT" });
  expect(verdict.ok || verdict.message).toContain("is too large: at most 16 endpoints");
});
