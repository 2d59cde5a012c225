import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { describeVerdict } from "./describe.ts";
import { judgePair } from "./pair.ts";
import { anyParty, anyPolicy, party, testPolicy } from "./testing.ts";

const EU = party("eu", { role: "hub", region: "west" });
const US = party("us", { role: "spoke" });
const PLANT = party("plant", { role: "spoke" });

const TCP_443 = { direction: Direction.LEFT_TO_RIGHT, protocol: Protocol.TCP, ports: [{ first: 443, last: 443 }] };

function verdict(policy: ReturnType<typeof testPolicy>, a = EU, b = US): string {
  return describeVerdict(judgePair(policy, a, b), [a.id, b.id]);
}

describe("a pair that no link names", () => {
  test.each([
    { fallback: DefaultLinks.FULL_MESH, want: "linked, everything" },
    { fallback: DefaultLinks.NONE, want: "not linked" },
    { fallback: DefaultLinks.UNSPECIFIED, want: "not linked" },
  ])("falls to the default: $want", ({ fallback, want }) => expect(verdict(testPolicy([], fallback))).toBe(want));

  test("is not linked to itself", () => {
    expect(judgePair(testPolicy([], DefaultLinks.FULL_MESH), EU, EU)).toEqual({ linked: false, link: undefined });
  });
});

describe("a selector", () => {
  test.each([
    { name: "without anything matches every cluster", left: {}, right: {}, want: "linked, everything" },
    {
      name: "matches by name",
      left: { clusters: ["eu"] },
      right: { clusters: ["us", "asia"] },
      want: "linked, everything",
    },
    {
      name: "does not match another name",
      left: { clusters: ["eu"] },
      right: { clusters: ["asia"] },
      want: "not linked",
    },
    {
      name: "matches by all labels",
      left: { labels: { role: "hub", region: "west" } },
      right: {},
      want: "linked, everything",
    },
    { name: "needs all labels", left: { labels: { role: "hub", region: "east" } }, right: {}, want: "not linked" },
    {
      name: "matches by name or labels",
      left: { clusters: ["asia"], labels: { role: "hub" } },
      right: {},
      want: "linked, everything",
    },
    {
      name: "of names does not match all for lack of labels",
      left: { clusters: ["asia"] },
      right: {},
      want: "not linked",
    },
    {
      name: "matches either way round",
      left: { clusters: ["us"] },
      right: { clusters: ["eu"] },
      want: "linked, everything",
    },
    {
      name: "needs one cluster on each side",
      left: { clusters: ["us", "eu"] },
      right: { clusters: ["asia"] },
      want: "not linked",
    },
  ])("$name", ({ left, right, want }) => expect(verdict(testPolicy([{ name: "x", left, right }]))).toBe(want));
});

describe("the first link that matches decides", () => {
  const deny = { name: "deny", left: { clusters: ["us"] }, right: {}, deny: true };
  const all = { name: "all", left: {}, right: {} };
  test("a denied pair is not linked by a later link", () =>
    expect(verdict(testPolicy([deny, all]))).toBe("not linked"));
  test("nor denied by one", () => expect(verdict(testPolicy([all, deny]))).toBe("linked, everything"));
  test("and is named", () => {
    expect(judgePair(testPolicy([deny, all]), EU, US)).toEqual({ linked: false, link: "deny" });
  });
});

describe("what may be opened", () => {
  test.each([
    { direction: Direction.LEFT_TO_RIGHT, want: "linked: eu->us tcp 443" },
    { direction: Direction.RIGHT_TO_LEFT, want: "linked: us->eu tcp 443" },
    { direction: Direction.BOTH, want: "linked: both ways tcp 443" },
    { direction: 9 as Direction, want: "linked, nothing" },
  ])("goes $direction by name of the sides: $want", ({ direction, want }) => {
    const links = [
      { name: "x", left: { clusters: ["eu"] }, right: { clusters: ["us"] }, allow: [{ ...TCP_443, direction }] },
    ];
    expect(verdict(testPolicy(links))).toBe(want);
    expect(verdict(testPolicy(links), US, EU)).toBe(want);
  });

  test("goes both ways where each can stand on either side", () => {
    expect(verdict(testPolicy([{ name: "x", left: {}, right: {}, allow: [TCP_443] }]))).toBe(
      "linked: both ways tcp 443",
    );
  });

  test("is all that is listed", () => {
    const dns = {
      direction: Direction.BOTH,
      protocol: Protocol.UDP,
      ports: [
        { first: 53, last: 53 },
        { first: 5300, last: 5399 },
      ],
      destinations: ["10.2.0.53/32"],
    };
    const links = [
      {
        name: "x",
        left: { clusters: ["eu"] },
        right: {},
        allow: [{ ...TCP_443, sources: ["10.1.0.0/24", "10.1.9.0/24"] }, dns],
      },
    ];
    expect(verdict(testPolicy(links))).toBe(
      "linked: eu->us tcp 443 from 10.1.0.0/24,10.1.9.0/24; both ways udp 53,5300-5399 to 10.2.0.53/32",
    );
  });
});

describe("transit", () => {
  const links = [{ name: "x", left: {}, right: {}, transit: "eu" }];
  test("carries the pairs of others", () =>
    expect(verdict(testPolicy(links), US, PLANT)).toBe("linked through eu, everything"));
  test("is direct for the pairs of its own", () =>
    expect(verdict(testPolicy(links), US, EU)).toBe("linked, everything"));
});

test("both ends come to the same verdict", () => {
  fc.assert(
    fc.property(anyPolicy, anyParty, anyParty, (policy, a, b) => {
      expect(judgePair(policy, a, b)).toEqual(judgePair(policy, b, a));
    }),
  );
});
