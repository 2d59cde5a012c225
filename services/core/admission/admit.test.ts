import { ClusterKind } from "@spanwire/proto/record";
import { describe, expect, test } from "vitest";
import { admit } from "./admit.ts";
import { deleteCluster, revokeCluster, revokeGateway } from "./revoke.ts";
import { join, type TestJoin, testJoin, testRegistry } from "./testing.ts";

/** "eu": two gateways, identities 1 and 2. */
function registryWithEu() {
  const registry = testRegistry();
  join(registry, "eu", { identity: 1, prefixes: ["10.1.0.0/16", "fd01::/48"], labels: { region: "west" } });
  join(registry, "eu", { identity: 2 });
  return registry;
}

test("the first gateway founds its cluster: canonical prefixes, the lowest free block, ordinal 0", () => {
  const decision = admit(testRegistry(), testJoin("eu", { identity: 1, prefixes: ["FD01::/48", "10.1.0.0/16"] }));
  expect(decision).toMatchObject({
    ok: true,
    ordinal: 0,
    gatewayIncarnation: 1n,
    clusterOrder: { incarnation: 1n, generation: 1n },
    changed: true,
    admission: { clusterId: "eu", prefixes: ["10.1.0.0/16", "fd01::/48"], overlayIndex: 0, gateways: [{ nkey: "U1" }] },
  });
});

test("later gateways take the next ordinals, in the same block, and repeat their cluster or leave it out", () => {
  const registry = testRegistry({ maxGateways: 4 });
  join(registry, "eu", { identity: 1, prefixes: ["10.1.0.0/16", "fd01::/48"], labels: { region: "west" } });
  const second = join(registry, "eu", { identity: 2 });
  const repeat = { prefixes: ["fd01:0::/48", "10.1.0.0/16"], labels: { region: "west" } };
  const third = join(registry, "eu", { identity: 3, ...repeat });
  const fourth = join(registry, "eu", { identity: 4, ordinal: 3 });
  expect([second, third, fourth].map(({ ordinal }) => ordinal)).toEqual([1, 2, 3]);
  expect(fourth.admission.overlayIndex).toBe(0);
  expect(fourth.admission.gateways.map(({ ordinal }) => ordinal)).toEqual([0, 1, 2, 3]);
  expect(fourth.clusterOrder).toEqual({ incarnation: 1n, generation: 4n });
});

test("a cluster may announce nothing", () => {
  expect(admit(testRegistry(), testJoin("eu", { identity: 1 }))).toMatchObject({
    ok: true,
    admission: { prefixes: [] },
  });
});

describe("an identity that is admitted already", () => {
  test("gets the same answer, whatever it asks for besides and whatever has changed since", () => {
    const registry = registryWithEu();
    const first = admit(
      registry,
      testJoin("eu", { identity: 1, prefixes: ["10.9.0.0/16"], kind: ClusterKind.KUBERNETES }),
    );
    const again = admit(registry, testJoin("eu", { identity: 1, ordinal: 0, tokenOrdinal: 0 }));
    expect(first).toEqual(again);
    expect(first).toMatchObject({ ok: true, ordinal: 0, gatewayIncarnation: 1n, changed: false });
    expect(first).toMatchObject({ clusterOrder: { incarnation: 1n, generation: 2n } });
  });

  test("may bring another NATS user, at the same incarnation", () => {
    const decision = admit(registryWithEu(), testJoin("eu", { identity: 1, nkey: "U9" }));
    expect(decision).toMatchObject({ ok: true, ordinal: 0, gatewayIncarnation: 1n, replacedNkeys: ["U1"] });
  });
});

describe("an ordinal", () => {
  test("goes to a new identity by a token that is bound to it, at a higher incarnation", () => {
    const registry = registryWithEu();
    registry.say("eu", 0);
    const decision = join(registry, "eu", { identity: 3, tokenOrdinal: 0 });
    expect(decision).toMatchObject({ ordinal: 0, gatewayIncarnation: 2n, replacedNkeys: ["U1"] });
    expect(decision.admission.gateways.map(({ nkey, incarnation }) => [nkey, incarnation])).toEqual([
      ["U3", 2n],
      ["U2", 1n],
    ]);
  });

  test("is free again when its gateway is revoked, above its tombstone", () => {
    const registry = registryWithEu();
    registry.say("eu", 0, { generation: 7n });
    registry.write(revokeGateway(registry, "eu", 0));
    expect(join(registry, "eu", { identity: 3 })).toMatchObject({ ordinal: 0, gatewayIncarnation: 3n });
  });
});

test("a deleted cluster's id goes on above its tombstones, with whatever block is free", () => {
  const registry = registryWithEu();
  registry.say("eu", 0);
  registry.write(deleteCluster(registry, "eu"));
  join(registry, "us", { identity: 5, prefixes: ["10.1.0.0/16"] });
  const decision = join(registry, "eu", { identity: 6, prefixes: ["10.2.0.0/16"] });
  expect(decision).toMatchObject({ ordinal: 0, gatewayIncarnation: 3n, admission: { overlayIndex: 1 } });
  expect(decision.clusterOrder).toEqual({ incarnation: 3n, generation: 1n });
});

test("a revoked cluster keeps id, prefixes and block until somebody joins it again", () => {
  const registry = registryWithEu();
  registry.write(revokeCluster(registry, "eu"));
  expect(admit(registry, testJoin("us", { identity: 5, prefixes: ["10.1.2.0/24"] }))).toMatchObject({
    reason: "PREFIX_OVERLAP",
  });
  expect(join(registry, "us", { identity: 5 }).admission.overlayIndex).toBe(1);
  expect(join(registry, "eu", { identity: 6 })).toMatchObject({ ordinal: 0, gatewayIncarnation: 3n });
});

test("an overlay block is given again only when nobody holds it", () => {
  const registry = testRegistry();
  for (const [index, id] of ["a", "b", "c"].entries()) join(registry, id, { identity: index });
  registry.write(deleteCluster(registry, "b"));
  expect(join(registry, "d", { identity: 7 }).admission.overlayIndex).toBe(1);
  expect(join(registry, "e", { identity: 8 }).admission.overlayIndex).toBe(3);
});

describe("refused", () => {
  test.each<{ name: string; clusterId: string; how: TestJoin; says: string }>([
    {
      name: "a prefix of another cluster",
      clusterId: "us",
      how: { identity: 3, prefixes: ["10.2.0.0/16", "10.1.5.0/24"] },
      says: 'PREFIX_OVERLAP: prefix 10.1.5.0/24 of cluster "us" overlaps 10.1.0.0/16 of cluster "eu"',
    },
    {
      name: "a prefix around the overlay",
      clusterId: "us",
      how: { identity: 3, prefixes: ["fd00::/8"] },
      says: "RESERVED_PREFIX: prefix fd00::/8 is not admitted: it meets fd5a:1::/48, the mesh's own range",
    },
    {
      name: "prefixes that overlap each other",
      clusterId: "us",
      how: { identity: 3, prefixes: ["10.2.4.0/24", "10.3.0.0/16", "10.2.0.0/16"] },
      says: 'PREFIX_OVERLAP: prefixes 10.2.0.0/16 and 10.2.4.0/24 of cluster "us" overlap: announce 10.2.0.0/16 only',
    },
    {
      name: "a reserved prefix",
      clusterId: "us",
      how: { identity: 3, prefixes: ["169.254.0.0/16"] },
      says: "RESERVED_PREFIX: prefix 169.254.0.0/16 is not admitted: it is link-local: it never leaves its wire, and clouds serve credentials there",
    },
    {
      name: "the overlay",
      clusterId: "us",
      how: { identity: 3, prefixes: ["198.18.4.0/24"] },
      says: "RESERVED_PREFIX: prefix 198.18.4.0/24 is not admitted: it meets 198.18.0.0/15, the mesh's own range",
    },
    {
      name: "host bits",
      clusterId: "us",
      how: { identity: 3, prefixes: ["10.2.3.4/16"] },
      says: 'INVALID_PREFIX: "10.2.3.4/16" has host bits set: the prefix is 10.2.0.0/16',
    },
    {
      name: "too many prefixes",
      clusterId: "us",
      how: { identity: 3, prefixes: Array.from({ length: 257 }, (_, i) => `10.${i >> 8}.${i & 255}.0/24`) },
      says: 'TOO_MANY_PREFIXES: cluster "us" announces 257 prefixes: at most 256; merge some',
    },
    {
      name: "other prefixes than those of the cluster",
      clusterId: "eu",
      how: { identity: 3, tokenOrdinal: 0, prefixes: ["10.1.0.0/16"] },
      says: 'PREFIXES_DIFFER: cluster "eu" announces 10.1.0.0/16, fd01::/48: leave prefixes out or repeat them, or change them with: spanwire apply -f',
    },
    {
      name: "other labels than those of the cluster",
      clusterId: "eu",
      how: { identity: 3, tokenOrdinal: 0, labels: { region: "east" } },
      says: 'LABELS_DIFFER: cluster "eu" has other labels: leave them out or repeat them, or change them with: spanwire apply -f',
    },
    {
      name: "another kind than that of the cluster",
      clusterId: "eu",
      how: { identity: 3, tokenOrdinal: 0, kind: ClusterKind.KUBERNETES },
      says: 'KIND_DIFFERS: cluster "eu" is of another kind: repeat that of its first gateway',
    },
    {
      name: "a gateway more than there may be",
      clusterId: "eu",
      how: { identity: 3 },
      says: 'NO_FREE_ORDINAL: cluster "eu" has all of its 2 gateways: revoke one, or take one over with: spanwire token create eu --ordinal N',
    },
    {
      name: "an ordinal that is taken, by a token that is not bound to it",
      clusterId: "eu",
      how: { identity: 3, ordinal: 1 },
      says: "ORDINAL_TAKEN: gateway eu.1 exists already: to take it over, create a token for it with: spanwire token create eu --ordinal 1",
    },
    {
      name: "an ordinal beyond the mesh's limit",
      clusterId: "us",
      how: { identity: 3, ordinal: 2 },
      says: 'ORDINAL_OUT_OF_RANGE: ordinal 2 of cluster "us": this mesh has ordinals 0 to 1',
    },
    {
      name: "an identity of another cluster",
      clusterId: "us",
      how: { identity: 2 },
      says: 'IDENTITY_IN_USE: this identity is gateway eu.1: a gateway of cluster "us" needs one of its own',
    },
    {
      name: "an identity for a second ordinal",
      clusterId: "eu",
      how: { identity: 2, tokenOrdinal: 0 },
      says: "IDENTITY_IN_USE: this identity is gateway eu.1: ordinal 0 needs one of its own (another state directory)",
    },
    {
      name: "a NATS user of another gateway",
      clusterId: "us",
      how: { identity: 3, nkey: "U2" },
      says: "NKEY_IN_USE: this NATS user is that of gateway eu.1: each gateway needs its own",
    },
    {
      name: "a NATS user of another gateway, for an identity that is admitted",
      clusterId: "eu",
      how: { identity: 1, nkey: "U2" },
      says: "NKEY_IN_USE: this NATS user is that of gateway eu.1: each gateway needs its own",
    },
  ])("$name", ({ clusterId, how, says }) => {
    const decision = admit(registryWithEu(), testJoin(clusterId, how));
    expect(decision.ok ? "admitted" : `${decision.reason}: ${decision.message}`).toBe(says);
  });

  test("a NATS user that was revoked", () => {
    const registry = registryWithEu();
    registry.write(revokeGateway(registry, "eu", 1));
    expect(admit(registry, testJoin("eu", { identity: 3, nkey: "U2" }))).toMatchObject({ reason: "NKEY_REVOKED" });
  });

  test("a cluster more than the overlay has blocks for", () => {
    const registry = testRegistry({ overlayIpv4: "198.18.0.0/25" });
    join(registry, "a", { identity: 1 });
    join(registry, "b", { identity: 2 });
    const decision = admit(registry, testJoin("c", { identity: 3 }));
    const message = 'cluster "c": all 2 blocks of the overlay are taken; delete a cluster';
    expect(decision).toEqual({ ok: false, reason: "OVERLAY_FULL", message });
  });
});
