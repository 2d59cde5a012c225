import fc from "fast-check";
import { expect, test } from "vitest";
import { gatewayNexthopId, groupNexthopId, isOwnNexthopId, ordinalOfNexthop } from "./nexthop-id.ts";

test("ids can be read: block 7, gateway 1, and the groups", () => {
  expect(gatewayNexthopId(7, 1, "ipv4")).toBe(518_000_701);
  expect(gatewayNexthopId(7, 1, "ipv6")).toBe(518_000_751);
  expect(groupNexthopId(7, "ipv4")).toBe(518_000_740);
  expect(groupNexthopId(7, "ipv6")).toBe(518_000_790);
});

test("no two nexthops share an id, and all lie in our range", () => {
  const anyNexthop = fc.record({
    block: fc.nat(65_535),
    family: fc.constantFrom("ipv4" as const, "ipv6" as const),
    ordinal: fc.option(fc.nat(15), { nil: undefined }),
  });
  const idOf = ({ block, family, ordinal }: { block: number; family: "ipv4" | "ipv6"; ordinal: number | undefined }) =>
    ordinal === undefined ? groupNexthopId(block, family) : gatewayNexthopId(block, ordinal, family);
  fc.assert(
    fc.property(anyNexthop, anyNexthop, (a, b) => {
      const isSame = a.block === b.block && a.family === b.family && a.ordinal === b.ordinal;
      expect(idOf(a) === idOf(b)).toBe(isSame);
      expect(isOwnNexthopId(idOf(a))).toBe(true);
    }),
  );
});

test.each(["ipv4", "ipv6"] as const)("the ordinal can be read from the id: %s", (family) => {
  for (const ordinal of [0, 1, 15]) expect(ordinalOfNexthop(gatewayNexthopId(7, ordinal, family))).toBe(ordinal);
});

test("others' ids are not ours", () => {
  for (const id of [1, 517_999_999, 524_553_600, 4_294_967_295]) expect(isOwnNexthopId(id)).toBe(false);
});
