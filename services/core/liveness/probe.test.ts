import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeProbe, encodeProbe, PROBE_BYTES, type Probe } from "./probe.ts";

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const u64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const anyProbe: fc.Arbitrary<Probe> = fc.record({
  session: u32,
  sequence: u32,
  intervalMs: fc.integer({ min: 0, max: 0xff_ffff }),
  asks: fc.boolean(),
  isDraining: fc.boolean(),
  hearsYou: fc.boolean(),
  echo: fc.option(fc.record({ session: u32, sequence: u32.filter((n) => n > 0), agoMs: u32 }), { nil: undefined }),
  sendsOn: u64,
  generation: u64,
});

test("what is written is read, whatever its size", () => {
  fc.assert(
    fc.property(anyProbe, fc.integer({ min: 0, max: 9_000 }), (probe, size) => {
      const bytes = encodeProbe(probe, size);
      expect(bytes).toHaveLength(Math.max(size, PROBE_BYTES));
      expect(decodeProbe(bytes)).toEqual(probe);
    }),
  );
});

test("the bytes of one probe", () => {
  const echo = { session: 0x55667788, sequence: 9, agoMs: 70 };
  const probe = {
    session: 0x11223344,
    sequence: 7,
    intervalMs: 100,
    asks: true,
    isDraining: true,
    hearsYou: true,
    echo,
  };
  expect(Buffer.from(encodeProbe({ ...probe, sendsOn: 5n, generation: 10n })).toString("hex")).toBe(
    "53575031" +
      "07000064" +
      "11223344" +
      "00000007" +
      "55667788" +
      "00000009" +
      "00000046" +
      "0000000000000005" +
      "000000000000000a",
  );
});

test("anything else is no probe", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      fc.pre(bytes[0] !== 0x53);
      expect(decodeProbe(bytes)).toBeUndefined();
    }),
  );
  const whole = encodeProbe({
    session: 1,
    sequence: 1,
    intervalMs: 1,
    asks: false,
    isDraining: false,
    hearsYou: false,
    echo: undefined,
    sendsOn: 0n,
    generation: 0n,
  });
  expect(decodeProbe(whole.subarray(0, -1))).toBeUndefined();
});
