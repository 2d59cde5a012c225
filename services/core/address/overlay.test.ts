import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { containsCidr, containsIp, overlaps, parseCidr } from "./cidr.ts";
import { type Family, formatIp } from "./ip.ts";
import { overlayAddress, overlayBlock, overlayCapacity, overlayKindRange, parseOverlay } from "./overlay.ts";

const RANGE = parseOverlay({ overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd5a:1::/48" });
const KINDS = ["stable", "plane-a", "plane-b", "service"] as const;

test.each([
  { index: 0, kind: "stable", ordinal: 0, ipv4: "198.18.0.0", ipv6: "fd5a:1::" },
  { index: 1, kind: "stable", ordinal: 1, ipv4: "198.18.0.65", ipv6: "fd5a:1:0:1::1" },
  { index: 1, kind: "plane-a", ordinal: 1, ipv4: "198.18.0.81", ipv6: "fd5a:1:0:1::11" },
  { index: 1, kind: "plane-b", ordinal: 1, ipv4: "198.18.0.97", ipv6: "fd5a:1:0:1::21" },
  { index: 1, kind: "service", ordinal: 15, ipv4: "198.18.0.127", ipv6: "fd5a:1:0:1::3f" },
  { index: 2047, kind: "service", ordinal: 15, ipv4: "198.19.255.255", ipv6: "fd5a:1:0:7ff::3f" },
] as const)("cluster $index, $kind address of gateway $ordinal: $ipv4, $ipv6", ({ ipv4, ipv6, ...place }) => {
  expect(formatIp(overlayAddress(RANGE, place, "ipv4"))).toBe(ipv4);
  expect(formatIp(overlayAddress(RANGE, place, "ipv6"))).toBe(ipv6);
});

describe("capacity", () => {
  test.each([
    { overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd5a:1::/48", want: 2048 },
    { overlayIpv4: "100.64.0.0/10", overlayIpv6: "fd5a:1::/48", want: 65_536 },
    { overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd5a:1::/60", want: 16 },
    { overlayIpv4: "198.18.0.0/26", overlayIpv6: "fd5a:1::/48", want: 1 },
    { overlayIpv4: "198.18.0.0/27", overlayIpv6: "fd5a:1::/48", want: 0 },
  ])("$overlayIpv4 and $overlayIpv6 hold $want clusters", ({ want, ...mesh }) => {
    expect(overlayCapacity(parseOverlay(mesh))).toBe(want);
  });

  test("throws for a range with host bits", () => {
    expect(() => parseOverlay({ overlayIpv4: "198.18.0.1/15", overlayIpv6: "fd5a:1::/48" })).toThrow("host bits");
  });
});

test("no two places share an address, and each lies in its block, its kind's range and the overlay", () => {
  const place = fc.record({ index: fc.nat(2047), kind: fc.constantFrom(...KINDS), ordinal: fc.nat(15) });
  const family = fc.constantFrom<Family>("ipv4", "ipv6");
  fc.assert(
    fc.property(place, place, family, (a, b, of) => {
      const [left, right] = [overlayAddress(RANGE, a, of), overlayAddress(RANGE, b, of)];
      const isSame = a.index === b.index && a.kind === b.kind && a.ordinal === b.ordinal;
      expect(left.value === right.value).toBe(isSame);
      expect(containsIp(overlayBlock(RANGE, a.index, of), left)).toBe(true);
      expect(containsIp(overlayKindRange(RANGE, a.index, a.kind, of), left)).toBe(true);
      expect(containsCidr(RANGE[of], overlayBlock(RANGE, a.index, of))).toBe(true);
      expect(overlaps(overlayBlock(RANGE, a.index, of), overlayBlock(RANGE, b.index, of))).toBe(a.index === b.index);
    }),
  );
});

test("the kinds of a block share nothing", () => {
  const ranges = KINDS.map((kind) => overlayKindRange(RANGE, 3, kind, "ipv4").text);
  expect(ranges).toEqual(["198.18.0.192/28", "198.18.0.208/28", "198.18.0.224/28", "198.18.0.240/28"]);
  expect(overlayBlock(RANGE, 3, "ipv4")).toEqual(parseCidr("198.18.0.192/26"));
});
