import { DefaultLinks } from "@spanwire/proto/record";
import { describe, expect, test } from "vitest";
import { createCompiler } from "./compile.ts";
import { EU, linesOf, PLANT, planOf, putStatement, testLocal, testMap, US } from "./testing.ts";

describe("a pair that goes through another cluster", () => {
  const policy = {
    defaultLinks: DefaultLinks.FULL_MESH,
    links: [{ name: "relay", left: { clusters: ["plant"] }, right: { clusters: ["us"] }, transit: "eu" }],
  };
  const mesh = { clusters: [EU, US, PLANT], policy };

  test("has its prefixes among the AllowedIPs and behind the group of the one that carries it", () => {
    expect(
      linesOf(planOf(mesh, "us"), "sw-a0 peer", "10.3", "blackhole 10.3", "198.18.0.128", "allow plant"),
    ).toMatchInlineSnapshot(`
      "sw-a0 peer AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
        endpoint 192.0.2.1:51820
        persistent-keepalive 20
        allowed-ips 10.1.0.0/16, 10.3.0.0/24, 198.18.0.0/32, 198.18.0.128/28, 198.18.0.16/32, 198.18.0.176/28, 198.18.0.48/32
      10.3.0.0/24 nhid 518000040 src 198.18.0.64 table 5180 metric 0
      blackhole 10.3.0.0/24 table 5180 metric 4096
      198.18.0.128/28 nhid 518000040 src 198.18.0.64 table 5180 metric 0
      allow plant~us in 10.3.0.0/24 -> 10.2.0.0/16 any
      allow plant~us in 10.3.0.0/24 -> 198.18.0.64/26 any
      allow plant~us in 198.18.0.128/26 -> 10.2.0.0/16 any
      allow plant~us in 198.18.0.128/26 -> 198.18.0.64/26 any
      allow plant~us out 10.2.0.0/16 -> 10.3.0.0/24 any
      allow plant~us out 10.2.0.0/16 -> 198.18.0.128/26 any
      allow plant~us out 198.18.0.64/26 -> 10.3.0.0/24 any
      allow plant~us out 198.18.0.64/26 -> 198.18.0.128/26 any"
    `);
  });

  test("may pass from lane to lane at the one that carries it", () => {
    expect(linesOf(planOf(mesh, "eu"), "allow plant~us")).toMatchInlineSnapshot(`
      "allow plant~us through 10.2.0.0/16 -> 10.3.0.0/24 any
      allow plant~us through 10.2.0.0/16 -> 198.18.0.128/26 any
      allow plant~us through 10.3.0.0/24 -> 10.2.0.0/16 any
      allow plant~us through 10.3.0.0/24 -> 198.18.0.64/26 any
      allow plant~us through 198.18.0.128/26 -> 10.2.0.0/16 any
      allow plant~us through 198.18.0.128/26 -> 198.18.0.64/26 any
      allow plant~us through 198.18.0.64/26 -> 10.3.0.0/24 any
      allow plant~us through 198.18.0.64/26 -> 198.18.0.128/26 any"
    `);
  });

  test.each([
    { why: "eu is not admitted", clusters: [US, PLANT] },
    { why: "there is no tunnel to eu yet", clusters: [{ ...EU, gateways: [{ ordinal: 0, silent: true }] }, US, PLANT] },
  ])("has no route while $why", ({ clusters, why }) => {
    const plan = planOf({ clusters, policy }, "us");
    expect(linesOf(plan, "10.3", "blackhole 10.3", "TransitUnavailable")).toBe(
      `blackhole 10.3.0.0/24 table 5180 metric 4096\nTransitUnavailable: plant is to be reached through eu: ${why}`,
    );
  });

  test("gets its routes with the first statement of the one that carries it, and loses them with the last", () => {
    const eu = { ...EU, gateways: [{ ordinal: 0, silent: true }] };
    const map = testMap({ clusters: [eu, US, PLANT], policy });
    const input = { view: map, local: testLocal(map, "us"), liveness: new Map() };
    const compiler = createCompiler();
    const isRouted = () => {
      const routes = compiler.compile(input, new Set(["eu"]))?.desired.clusters.get("plant")?.routes ?? [];
      return routes.some(({ target }) => target.kind === "nexthop");
    };
    expect(isRouted()).toBe(false);
    putStatement(map, eu, { ordinal: 0 });
    expect(isRouted()).toBe(true);
    map.statements.clear();
    expect(isRouted()).toBe(false);
  });

  test("has no route while that one is not linked to both", () => {
    const links = [
      ...policy.links,
      { name: "cut", left: { clusters: ["eu"] }, right: { clusters: ["plant"] }, deny: true },
    ];
    const plan = planOf({ ...mesh, policy: { ...policy, links } }, "us");
    expect(linesOf(plan, "10.3", "TransitUnavailable")).toMatchInlineSnapshot(
      `"TransitUnavailable: plant is to be reached through eu: eu is not linked directly to plant"`,
    );
  });
});
