import { describe, expect, test } from "vitest";
import { conditionsOf, flatten } from "./desired.ts";
import { compileOnce, EU, testLocal, testMap, US } from "./testing.ts";

describe("a remote prefix over a local network", () => {
  test.each([
    {
      name: "a smaller one stays local",
      connected: "10.2.1.0/24",
      routed: true,
      kept: [{ prefix: "10.2.1.0/24", devices: ["lan"] }],
      remote: ["10.2.0.0/24", "10.2.2.0/23", "198.18.0.64/26", "fd5a:1:0:1::/64"],
      says: "10.2.0.0/22 of cluster us meets the local 10.2.1.0/24: 10.2.1.0/24 stays local; renumber one of them",
    },
    {
      name: "an equal one stays local",
      connected: "10.2.0.0/22",
      routed: false,
      kept: [{ prefix: "10.2.0.0/22", devices: ["lan"] }],
      remote: ["198.18.0.64/26", "fd5a:1:0:1::/64"],
      says: "10.2.0.0/22 of cluster us meets the local 10.2.0.0/22: 10.2.0.0/22 stays local; renumber one of them",
    },
    {
      name: "a larger one loses what the remote announces",
      connected: "10.0.0.0/8",
      routed: true,
      kept: [],
      remote: ["10.2.0.0/22", "198.18.0.64/26", "fd5a:1:0:1::/64"],
      says: "10.2.0.0/22 of cluster us meets the local 10.0.0.0/8: 10.2.0.0/22 goes to us; renumber one of them",
    },
  ])("$name", ({ connected, routed, kept, remote, says }) => {
    const map = testMap({ clusters: [EU, { ...US, prefixes: ["10.2.0.0/22"] }] });
    const { desired } = compileOnce(
      map,
      testLocal(map, "eu", 0, { connected: [{ device: "lan", network: connected }] }),
    );
    const { routes, firewall } = flatten(desired);
    const targets = routes.filter(({ destination }) => destination === "10.2.0.0/22").map(({ target }) => target.kind);
    expect(targets.includes("nexthop")).toBe(routed);
    expect(targets).toContain("blackhole");
    expect(routes).toContainEqual({ table: 5180, destination: connected, metric: 0, target: { kind: "throw" } });
    expect(firewall?.remote.filter((prefix) => !prefix.startsWith("10.1."))).toEqual(remote);
    expect(firewall?.kept).toEqual(kept);
    expect(conditionsOf(desired).map(({ message }) => message)).toEqual([says]);
  });

  test("may be on several devices and in one another; hub and NATS are reached by any", () => {
    const map = testMap({ clusters: [EU, { ...US, prefixes: ["10.2.0.0/22"] }] });
    const connected = [
      { device: "lan1", network: "10.2.1.0/24" },
      { device: "lan0", network: "10.2.1.0/24" },
      { device: "dmz", network: "10.2.1.0/31" },
      { device: "wan", network: "10.2.2.0/31" },
    ];
    const { desired } = compileOnce(map, testLocal(map, "eu", 0, { connected, control: ["10.2.2.1"] }));
    expect(flatten(desired).firewall?.kept).toEqual([
      { prefix: "10.2.1.0/24", devices: ["dmz", "lan0", "lan1"] },
      { prefix: "10.2.1.0/31", devices: ["dmz", "lan0", "lan1"] },
      { prefix: "10.2.2.0/32", devices: ["wan"] },
    ]);
    expect(conditionsOf(desired).length).toBe(4); // the networks and the address, once each
  });
});

test.each([
  { name: "one that it covers", route: "10.2.1.0/24", says: ["10.2.0.0/22 goes to us"] },
  { name: "an equal one", route: "10.2.0.0/22", says: ["10.2.0.0/22 goes to us"] },
  { name: "a wider one, which it is an exception from", route: "10.0.0.0/8", says: [] },
])("a remote prefix and a network by a router, $name", ({ route, says }) => {
  const map = testMap({ clusters: [EU, { ...US, prefixes: ["10.2.0.0/22"] }] });
  const { desired } = compileOnce(map, testLocal(map, "eu", 0, { localRoutes: [route] }));
  expect(conditionsOf(desired).map(({ message }) => /: (.*);/.exec(message)?.[1])).toEqual(says);
  expect(flatten(desired).routes.some(({ destination }) => destination === route && route !== "10.2.0.0/22")).toBe(
    false,
  );
});
