import { describe, expect, test } from "vitest";
import { flatten } from "./desired.ts";
import { compileOnce, EU, testLocal, testMap, US } from "./testing.ts";

describe("endpoints", () => {
  test.each([
    { name: "an address inside the overlay", hosts: ["198.18.0.64", "192.0.2.1"], want: ["192.0.2.1:51820"] },
    { name: "an address inside its own prefixes", hosts: ["10.2.0.5", "192.0.2.1"], want: ["192.0.2.1:51820"] },
    { name: "an address inside our prefixes", hosts: ["10.1.0.5", "192.0.2.1"], want: ["192.0.2.1:51820"] },
    { name: "what is neither an address nor a name", hosts: ["10.1", "gw.example"], want: ["gw.example:51820"] },
  ])("leave out $name", ({ hosts, want }) => {
    const map = testMap({ clusters: [EU, { ...US, gateways: [{ ordinal: 0, hosts }] }] });
    const { peers } = flatten(compileOnce(map, testLocal(map, "eu")).desired);
    expect(peers.map(({ endpoints }) => endpoints)).toEqual([want]);
  });

  test("are the lane of our ordinal, on each plane", () => {
    const map = testMap({ clusters: [EU, US], epoch: { active: 0n, opening: 1n } });
    const { peers } = flatten(compileOnce(map, testLocal(map, "eu", 1)).desired);
    expect(peers.map(({ device, endpoints }) => [device, ...endpoints])).toEqual([
      ["sw-a0", "192.0.2.17:51822"],
      ["sw-a1", "192.0.2.18:51822"],
      ["sw-b0", "192.0.2.17:51823"],
      ["sw-b1", "192.0.2.18:51823"],
    ]);
  });
});
