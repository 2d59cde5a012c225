import { expect, test } from "vitest";
import { join, testRegistry } from "./testing.ts";
import { type ClusterChange, updateCluster } from "./update.ts";

function registryOfTwo() {
  const registry = testRegistry();
  join(registry, "eu", { identity: 1, prefixes: ["10.1.0.0/16"], labels: { region: "west" } });
  join(registry, "us", { identity: 2, prefixes: ["10.2.0.0/16"] });
  return registry;
}

function change(fields: Partial<ClusterChange> = {}): ClusterChange {
  return { clusterId: "eu", prefixes: [], labels: {}, expectedGeneration: undefined, ...fields };
}

test("prefixes and labels are replaced whole; block and gateways stay", () => {
  const registry = registryOfTwo();
  const asked = change({ prefixes: ["10.9.0.0/16", "10.1.0.0/17"], labels: { tier: "gold" }, expectedGeneration: 1n });
  const decision = updateCluster(registry, asked);
  registry.write(decision);
  expect(decision).toMatchObject({
    ok: true,
    order: { incarnation: 1n, generation: 2n },
    changed: true,
    admission: { prefixes: ["10.1.0.0/17", "10.9.0.0/16"], labels: { tier: "gold" }, overlayIndex: 0 },
  });
  expect(registry.admissions.get("eu")?.gateways).toHaveLength(1);
  expect(registry.admissions.get("eu")?.labels).toEqual({ tier: "gold" });
});

test("what is so already is not written again", () => {
  const decision = updateCluster(registryOfTwo(), change({ prefixes: ["10.1.0.0/16"], labels: { region: "west" } }));
  expect(decision).toMatchObject({ ok: true, changed: false, order: { incarnation: 1n, generation: 1n } });
});

test.each([
  {
    name: "an unknown cluster",
    asked: change({ clusterId: "asia" }),
    says: 'CLUSTER_NOT_FOUND: cluster "asia" is not admitted: see spanwire cluster list',
  },
  {
    name: "a change made from another generation",
    asked: change({ expectedGeneration: 7n }),
    says: 'GENERATION_CHANGED: cluster "eu" is at generation 1, not 7: look at it again',
  },
  {
    name: "a prefix of another cluster",
    asked: change({ prefixes: ["10.0.0.0/8"] }),
    says: 'PREFIX_OVERLAP: prefix 10.0.0.0/8 of cluster "eu" overlaps 10.2.0.0/16 of cluster "us"',
  },
])("$name is refused", ({ asked, says }) => {
  const decision = updateCluster(registryOfTwo(), asked);
  expect(decision.ok ? "changed" : `${decision.reason}: ${decision.message}`).toBe(says);
});
