import { describe, expect, test } from "vitest";
import { countTraffic, hasTraffic, isQuiet, type Traffic } from "./traffic.ts";

/** Reads the counters again and again: [ms, bytes, probes]. */
function read(...readings: readonly (readonly [number, number, number])[]): Traffic | undefined {
  return readings.reduce<Traffic | undefined>(
    (former, [nowMs, bytes, probes]) => countTraffic(former, { bytes, probes }, nowMs),
    undefined,
  );
}

describe("traffic", () => {
  test.each([
    { name: "what was counted before the first look is none", readings: [[0, 1e9, 0]], want: false },
    {
      name: "one ping a second is",
      readings: [
        [0, 1_000, 0],
        [5_000, 2_280, 0],
      ],
      want: true,
    },
    {
      name: "probes are none, fast ones either",
      readings: [
        [0, 0, 0],
        [5_000, 110 * 112, 110],
      ],
      want: false,
    },
    {
      name: "a handshake and a keepalive are none",
      readings: [
        [0, 0, 0],
        [5_000, 148 + 92 + 2 * 32 + 112, 0],
      ],
      want: false,
    },
    {
      name: "packets among fast probes are",
      readings: [
        [0, 0, 0],
        [5_000, 110 * 112 + 600, 110],
      ],
      want: true,
    },
    {
      name: "counters that begin anew say nothing",
      readings: [
        [0, 1e9, 9],
        [5_000, 900, 9],
      ],
      want: false,
    },
    {
      name: "looks that come often add up",
      readings: [
        [0, 0, 0],
        [1_000, 200, 0],
        [2_000, 400, 0],
        [3_000, 600, 0],
      ],
      want: true,
    },
    {
      name: "looks that come seldom do not",
      readings: [
        [0, 0, 0],
        [5_000, 400, 0],
        [10_000, 800, 0],
      ],
      want: false,
    },
  ] as const)("$name", ({ readings, want }) => {
    expect(hasTraffic(read(...readings), readings.at(-1)?.[0] ?? 0)).toBe(want);
  });

  test("lingers for half a minute", () => {
    const traffic = read([0, 0, 0], [5_000, 10_000, 0], [10_000, 10_000, 0]);
    expect([hasTraffic(traffic, 34_999), hasTraffic(traffic, 35_000)]).toEqual([true, false]);
  });
});

test.each([
  { name: "nothing", bytes: 0, probes: 0, want: true },
  { name: "probes and a handshake", bytes: 20 * 112 + 240, probes: 20, want: true },
  { name: "a probe of each gateway that is not counted yet", bytes: 10 * 112, probes: 0, want: true },
  { name: "packets of others", bytes: 20 * 112 + 2_000, probes: 20, want: false },
  { name: "what nobody can tell", bytes: -1, probes: 0, want: false },
])("$name is quiet: $want", ({ bytes, probes, want }) => {
  const from = { bytes: 1_000, probes: 10 };
  expect(isQuiet(from, { bytes: from.bytes + bytes, probes: from.probes + probes }, 10)).toBe(want);
});
