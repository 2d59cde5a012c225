import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import { describe, expect, test } from "vitest";
import { EU, linesOf, planOf, US } from "./testing.ts";

describe("the link policy", () => {
  test("names what may cross, clipped to what is admitted", () => {
    const allow = [
      {
        direction: Direction.LEFT_TO_RIGHT,
        protocol: Protocol.TCP,
        sources: ["10.1.4.0/22", "10.9.0.0/16"],
        destinations: ["10.0.0.0/8"],
        ports: [
          { first: 443, last: 443 },
          { first: 8000, last: 8080 },
        ],
      },
      { direction: Direction.BOTH, protocol: Protocol.ICMP },
    ];
    const links = [{ name: "web", left: { clusters: ["eu"] }, right: { clusters: ["us"] }, allow }];
    const mesh = { clusters: [EU, US], policy: { defaultLinks: DefaultLinks.NONE, links } };
    expect(linesOf(planOf(mesh, "eu"), "allow")).toMatchInlineSnapshot(`
      "allow eu~us in 10.2.0.0/16 -> 10.1.0.0/16 icmp
      allow eu~us in 10.2.0.0/16 -> 198.18.0.0/26 icmp
      allow eu~us in 198.18.0.64/26 -> 10.1.0.0/16 icmp
      allow eu~us in 198.18.0.64/26 -> 198.18.0.0/26 icmp
      allow eu~us out 10.1.0.0/16 -> 10.2.0.0/16 icmp
      allow eu~us out 10.1.0.0/16 -> 198.18.0.64/26 icmp
      allow eu~us out 10.1.4.0/22 -> 10.2.0.0/16 tcp 443,8000-8080
      allow eu~us out 198.18.0.0/26 -> 10.2.0.0/16 icmp
      allow eu~us out 198.18.0.0/26 -> 198.18.0.64/26 icmp"
    `);
    expect(linesOf(planOf(mesh, "us"), "allow eu~us in 10.1.4")).toMatchInlineSnapshot(
      `"allow eu~us in 10.1.4.0/22 -> 10.2.0.0/16 tcp 443,8000-8080"`,
    );
  });

  test("leaves a cluster that is not linked without peers and routes, and still guards against it", () => {
    const plan = planOf({ clusters: [EU, US], policy: { defaultLinks: DefaultLinks.NONE } }, "eu");
    expect(
      linesOf(plan, "sw-a0 peer", "id", "10.2", "198.18.0.6", "198.18.0.8", "blackhole", "guard", "allow"),
    ).toMatchInlineSnapshot(`
      "blackhole 10.2.0.0/16 table 5180 metric 4096
      blackhole 198.18.0.64/26 table 5180 metric 4096
      blackhole fd5a:1:0:1::/64 table 5180 metric 4096
      guard by sw-* or mark 0x1000/0x1000 only:
        10.2.0.0/16
        198.18.0.64/26
        fd5a:1:0:1::/64"
    `);
  });
});

test("hosts that ask for it are translated to the stable address, and may open connections", () => {
  const plan = planOf({ clusters: [EU, US] }, "eu", { snat: ["192.168.7.0/24"] });
  expect(linesOf(plan, "snat", "allow eu~us out 192", "allow eu~us in")).toMatchInlineSnapshot(`
    "allow eu~us in 10.2.0.0/16 -> 10.1.0.0/16 any
    allow eu~us in 10.2.0.0/16 -> 198.18.0.0/26 any
    allow eu~us in 198.18.0.64/26 -> 10.1.0.0/16 any
    allow eu~us in 198.18.0.64/26 -> 198.18.0.0/26 any
    allow eu~us out 192.168.7.0/24 -> 10.2.0.0/16 any
    allow eu~us out 192.168.7.0/24 -> 198.18.0.64/26 any
    snat 192.168.7.0/24 -> 10.2.0.0/16 to 198.18.0.0
    snat 192.168.7.0/24 -> 198.18.0.64/26 to 198.18.0.0"
  `);
});
