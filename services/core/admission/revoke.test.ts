import { describe, expect, test } from "vitest";
import { deleteCluster, revokeCluster, revokeGateway } from "./revoke.ts";
import { join, testRegistry } from "./testing.ts";

/** "eu" with gateway 0 at incarnation 1, which has spoken, and gateway 1, which has not. */
function registryWithEu() {
  const registry = testRegistry();
  join(registry, "eu", { identity: 1, prefixes: ["10.1.0.0/16"] });
  join(registry, "eu", { identity: 2 });
  registry.say("eu", 0, { generation: 9n });
  return registry;
}

describe("a revoked gateway", () => {
  test("leaves the admission; its tombstone comes after all that it could sign, and its NATS user is banned", () => {
    const registry = registryWithEu();
    const ending = revokeGateway(registry, "eu", 0);
    registry.write(ending);
    expect(ending).toMatchObject({
      tombstones: [{ key: "gateway.eu.0", order: { incarnation: 2n, generation: 0n } }],
      admission: { order: { incarnation: 1n, generation: 3n }, admission: { gateways: [{ ordinal: 1 }] } },
      nkeys: ["U1"],
    });
  });

  test("that never spoke gets a tombstone as well, so that its incarnation is not given again", () => {
    const ending = revokeGateway(registryWithEu(), "eu", 1);
    expect(ending).toMatchObject({ tombstones: [{ key: "gateway.eu.1", order: { incarnation: 2n, generation: 0n } }] });
  });

  test("is not found again", () => {
    const registry = registryWithEu();
    registry.write(revokeGateway(registry, "eu", 0));
    const message = "gateway eu.0 does not exist: see spanwire cluster show eu";
    expect(revokeGateway(registry, "eu", 0)).toEqual({ ok: false, reason: "GATEWAY_NOT_FOUND", message });
  });
});

test("a revoked cluster keeps its admission, without gateways; doing it again does nothing", () => {
  const registry = registryWithEu();
  const ending = revokeCluster(registry, "eu");
  registry.write(ending);
  expect(ending).toMatchObject({
    tombstones: [{ key: "gateway.eu.0" }, { key: "gateway.eu.1" }],
    admission: { admission: { prefixes: ["10.1.0.0/16"], overlayIndex: 0, gateways: [] } },
    nkeys: ["U1", "U2"],
  });
  expect(revokeCluster(registry, "eu")).toEqual({ ok: true, tombstones: [], admission: undefined, nkeys: [] });
});

test("a deleted cluster ends with all of its gateways, itself last", () => {
  const registry = registryWithEu();
  const ending = deleteCluster(registry, "eu");
  registry.write(ending);
  expect(ending).toMatchObject({
    tombstones: [
      { key: "gateway.eu.0", order: { incarnation: 2n, generation: 0n } },
      { key: "gateway.eu.1", order: { incarnation: 2n, generation: 0n } },
      { key: "cluster.eu", order: { incarnation: 2n, generation: 0n } },
    ],
    admission: undefined,
    nkeys: ["U1", "U2"],
  });
  expect(registry.admissions.has("eu")).toBe(false);
});

test.each([revokeCluster, deleteCluster])("$name of an unknown cluster is refused", (end) => {
  const message = 'cluster "asia" is not admitted: see spanwire cluster list';
  expect(end(testRegistry(), "asia")).toEqual({ ok: false, reason: "CLUSTER_NOT_FOUND", message });
});

test("decided again after a crash between any two writes, what is left is written and nothing twice", () => {
  for (const end of [
    (registry: ReturnType<typeof registryWithEu>) => revokeGateway(registry, "eu", 0),
    deleteCluster,
    revokeCluster,
  ]) {
    const whole = end(registryWithEu(), "eu");
    if (!whole.ok) throw new Error(whole.message);
    for (let written = 0; written <= whole.tombstones.length; written++) {
      const registry = registryWithEu();
      registry.write({ ok: true, tombstones: whole.tombstones.slice(0, written), admission: undefined, nkeys: [] });
      const rest = end(registry, "eu");
      if (rest.ok) expect(rest.tombstones).toEqual(whole.tombstones.slice(written));
      else expect([end, written]).toEqual([deleteCluster, whole.tombstones.length]);
    }
  }
});
