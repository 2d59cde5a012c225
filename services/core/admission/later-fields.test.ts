import { expect, test } from "vitest";
import { admit } from "./admit.ts";
import { revokeGateway } from "./revoke.ts";
import { join, type TestRegistry, testJoin, testRegistry } from "./testing.ts";
import { updateCluster } from "./update.ts";

/** A hub of a later version has written the admission. */
const later = { $unknown: [{ no: 900, wireType: 0, data: new Uint8Array([1]) }] };

function registryOfLater(): TestRegistry {
  const registry = testRegistry();
  join(registry, "eu", { identity: 1, prefixes: ["10.1.0.0/16"] });
  join(registry, "eu", { identity: 2 });
  const admission = registry.admissions.get("eu");
  if (admission === undefined) throw new Error("eu is not admitted");
  const gateways = admission.gateways.map((gateway) => ({ ...gateway, ...later }));
  registry.admissions.set("eu", { ...admission, gateways, ...later });
  return registry;
}

test.each([
  {
    name: "an update",
    decide: (registry: TestRegistry) =>
      updateCluster(registry, { clusterId: "eu", prefixes: [], labels: { a: "b" }, expectedGeneration: undefined }),
  },
  { name: "a revocation", decide: (registry: TestRegistry) => revokeGateway(registry, "eu", 1) },
  {
    name: "a gateway that takes another's place",
    decide: (registry: TestRegistry) => admit(registry, testJoin("eu", { identity: 3, tokenOrdinal: 1 })),
  },
])("$name keeps the fields of a later version, of the cluster and of the other gateways", ({ decide }) => {
  const registry = registryOfLater();
  registry.write(decide(registry));
  const admission = registry.admissions.get("eu");
  expect(admission).toMatchObject(later);
  expect(admission?.gateways[0]).toMatchObject(later);
});
