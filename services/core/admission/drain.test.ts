import { expect, test } from "vitest";
import { setDraining } from "./drain.ts";
import { join, testRegistry } from "./testing.ts";

function registryOfTwo() {
  const registry = testRegistry();
  join(registry, "eu", { identity: 1, prefixes: ["10.1.0.0/16"] });
  join(registry, "eu", { identity: 2 });
  return registry;
}

test("a gateway drains until it is to serve again; the other and the cluster stay as they are", () => {
  const registry = registryOfTwo();
  const draining = () => registry.admissions.get("eu")?.gateways.map((gateway) => gateway.draining);
  registry.write(setDraining(registry, { clusterId: "eu", ordinal: 1, draining: true }));
  expect(draining()).toEqual([false, true]);
  expect(registry.admissions.get("eu")).toMatchObject({ prefixes: ["10.1.0.0/16"], overlayIndex: 0 });
  registry.write(setDraining(registry, { clusterId: "eu", ordinal: 1, draining: false }));
  expect(draining()).toEqual([false, false]);
});

test("what is so already is not written again", () => {
  const decision = setDraining(registryOfTwo(), { clusterId: "eu", ordinal: 0, draining: false });
  expect(decision).toMatchObject({ ok: true, changed: false });
});

test.each([
  { clusterId: "asia", ordinal: 0 },
  { clusterId: "eu", ordinal: 2 },
])("gateway $clusterId.$ordinal, which is not there, is refused", (gateway) => {
  const decision = setDraining(registryOfTwo(), { ...gateway, draining: true });
  expect(decision).toEqual({
    ok: false,
    reason: "GATEWAY_NOT_FOUND",
    message: `gateway ${gateway.clusterId}.${gateway.ordinal} does not exist: see spanwire cluster list`,
  });
});
