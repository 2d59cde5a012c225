import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  type Cidr,
  cidrFrom,
  compareCidrs,
  containsCidr,
  containsIp,
  overlaps,
  parseCidr,
  readCidr,
  subtract,
} from "./cidr.ts";
import { ADDRESS_BITS, type Family, ipFrom } from "./ip.ts";

/** Short prefixes of few distinct addresses, so that two of them often meet. */
const anyCidr: fc.Arbitrary<Cidr> = fc
  .tuple(fc.constantFrom<Family>("ipv4", "ipv6"), fc.bigInt(0n, 255n), fc.nat(8))
  .map(([family, top, bits]) => cidrFrom(ipFrom(family, top << BigInt(ADDRESS_BITS[family] - 8)), bits));

/** The oracle: the eight leading bits as text, of which the prefix fixes the first few. */
function pattern({ family, base, bits }: Cidr): string {
  const leading = (base >> BigInt(ADDRESS_BITS[family] - 8)).toString(2).padStart(8, "0");
  return family + leading.slice(0, bits);
}

describe("reading", () => {
  test.each([
    "0.0.0.0/0",
    "10.1.0.0/16",
    "198.18.0.64/26",
    "192.0.2.1/32",
    "::/0",
    "fd00::/8",
    "2001:db8::1/128",
  ])("%s is canonical", (text) => expect(parseCidr(text).text).toBe(text));

  test.each([
    { text: "FD00:0:0::/48", want: "fd00::/48" },
    { text: "2001:DB8:0:0:0:0:0:0/32", want: "2001:db8::/32" },
  ])("$text becomes $want", ({ text, want }) => expect(parseCidr(text).text).toBe(want));

  test.each([
    { text: "10.1.2.3/16", problem: '"10.1.2.3/16" has host bits set: the prefix is 10.1.0.0/16' },
    { text: "fd00::1/64", problem: '"fd00::1/64" has host bits set: the prefix is fd00::/64' },
    { text: "10.0.0.0", problem: '"10.0.0.0" is not a prefix: write it as address/length, like 10.1.0.0/16' },
    { text: "10.0.0.0/8/8", problem: '"10.0.0.0/8/8" is not a prefix: write it as address/length, like 10.1.0.0/16' },
    { text: "10.0.0.0/33", problem: '"10.0.0.0/33" is not a prefix: its length must be 0 to 32' },
    { text: "::/129", problem: '"::/129" is not a prefix: its length must be 0 to 128' },
    { text: "10.0.0.0/08", problem: '"10.0.0.0/08" is not a prefix: its length must be 0 to 32' },
    { text: "10.0.0.0/-1", problem: '"10.0.0.0/-1" is not a prefix: its length must be 0 to 32' },
    { text: "10.0.0.0/", problem: '"10.0.0.0/" is not a prefix: its length must be 0 to 32' },
    { text: "10.0.0.0/8 ", problem: '"10.0.0.0/8 " is not a prefix: its length must be 0 to 32' },
    { text: "10.1/16", problem: '"10.1/16" is not a prefix: "10.1" is not an IP address' },
    { text: "010.0.0.0/8", problem: '"010.0.0.0/8" is not a prefix: "010.0.0.0" is not an IP address' },
    { text: "", problem: '"" is not a prefix: write it as address/length, like 10.1.0.0/16' },
  ])("refuses $text", ({ text, problem }) => {
    expect(readCidr(text)).toEqual({ ok: false, problem });
    expect(() => parseCidr(text)).toThrow(problem);
  });

  test("what is written reads back equal", () => {
    fc.assert(
      fc.property(anyCidr, (cidr) => {
        expect(parseCidr(cidr.text)).toEqual(cidr);
      }),
    );
  });
});

describe("relations", () => {
  test("containing agrees with comparing leading bits", () => {
    fc.assert(
      fc.property(anyCidr, anyCidr, (a, b) => {
        expect(containsCidr(a, b)).toBe(pattern(b).startsWith(pattern(a)));
      }),
    );
  });

  test("overlapping is symmetric, and means that one contains the other", () => {
    fc.assert(
      fc.property(anyCidr, anyCidr, (a, b) => {
        expect(overlaps(a, b)).toBe(overlaps(b, a));
        expect(overlaps(a, b)).toBe(containsCidr(a, b) || containsCidr(b, a));
      }),
    );
  });

  test("comparing finds equal only what is equal", () => {
    fc.assert(
      fc.property(anyCidr, anyCidr, (a, b) => {
        expect(compareCidrs(a, b) === 0).toBe(a.text === b.text);
      }),
    );
  });
});

describe("subtracting", () => {
  test.each([
    { from: "10.0.0.0/8", holes: ["192.168.0.0/16"], want: ["10.0.0.0/8"] },
    { from: "10.0.0.0/8", holes: ["10.0.0.0/8"], want: [] },
    { from: "10.0.0.0/8", holes: ["0.0.0.0/0"], want: [] },
    { from: "10.0.0.0/14", holes: ["10.1.0.0/16"], want: ["10.0.0.0/16", "10.2.0.0/15"] },
    { from: "fd00::/62", holes: ["fd00:0:0:3::/64"], want: ["fd00::/63", "fd00:0:0:2::/64"] },
  ])("$from without $holes is $want", ({ from, holes, want }) => {
    expect(subtract(parseCidr(from), holes.map(parseCidr)).map(({ text }) => text)).toEqual(want);
  });

  test("an address is left exactly when it was there and is in no hole", () => {
    fc.assert(
      fc.property(anyCidr, fc.array(anyCidr, { maxLength: 4 }), fc.bigInt(0n, 255n), (cidr, holes, top) => {
        const ip = ipFrom(cidr.family, top << BigInt(ADDRESS_BITS[cidr.family] - 8));
        const isIn = (prefix: Cidr) => containsIp(prefix, ip);
        expect(subtract(cidr, holes).some(isIn)).toBe(isIn(cidr) && !holes.some(isIn));
      }),
    );
  });
});
