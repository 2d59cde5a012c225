import fc from "fast-check";
import { expect, test } from "vitest";

import { FlowLog } from "./flow-log.ts";

function logOf(sent: number, received: readonly number[]): FlowLog {
  const log = new FlowLog();
  for (let sequence = 0; sequence < sent; sequence++) log.send(sequence * 10);
  for (const sequence of received) log.receive(sequence);
  return log;
}

const clean = { lost: 0, duplicated: 0, reordered: 0, refused: {}, gaps: [] };

test.each([
  { name: "all arrive", sent: 3, received: [0, 1, 2], want: { ...clean, sent: 3 } },
  { name: "nothing was sent", sent: 0, received: [], want: { ...clean, sent: 0 } },
  { name: "one arrives twice", sent: 2, received: [0, 1, 1], want: { ...clean, sent: 2, duplicated: 1 } },
  { name: "two change places", sent: 3, received: [0, 2, 1], want: { ...clean, sent: 3, reordered: 1 } },
  { name: "one that was never sent is no packet of ours", sent: 1, received: [0, 7], want: { ...clean, sent: 1 } },
  {
    name: "the first and the last two are lost",
    sent: 5,
    received: [1, 2],
    want: {
      ...clean,
      sent: 5,
      lost: 3,
      gaps: [
        { firstSequence: 0, count: 1, atMs: 0 },
        { firstSequence: 3, count: 2, atMs: 30 },
      ],
    },
  },
])("$name", ({ sent, received, want }) => {
  expect(logOf(sent, received).between(0, sent)).toEqual(want);
});

test("counts a packet the kernel refused as sent and lost, with its errno", () => {
  const log = new FlowLog();
  log.send(0);
  log.send(10, 101);
  log.receive(0);
  expect(log.between(0, 2)).toMatchObject({ sent: 2, lost: 1, refused: { 101: 1 } });
  expect(log.between(0, 1)).toMatchObject({ sent: 1, lost: 0, refused: {} });
});

test("whatever arrives in whatever order, phases add up and lost is what never came", () => {
  fc.assert(
    fc.property(
      fc.nat(9000).chain((sent) =>
        fc.record({
          sent: fc.constant(sent),
          middle: fc.nat(sent),
          received: fc.array(fc.nat(Math.max(0, sent - 1)), { maxLength: 500 }),
        }),
      ),
      ({ sent, middle, received }) => {
        const log = logOf(sent, sent === 0 ? [] : received);
        const [first, second, whole] = [log.between(0, middle), log.between(middle, sent), log.between(0, sent)];
        const came = new Set(sent === 0 ? [] : received).size;
        expect(whole.lost).toBe(sent - came);
        expect(whole.duplicated).toBe(sent === 0 ? 0 : received.length - came);
        expect(whole.gaps.reduce((sum, gap) => sum + gap.count, 0)).toBe(whole.lost);
        for (const key of ["sent", "lost", "duplicated", "reordered"] as const) {
          expect(first[key] + second[key]).toBe(whole[key]);
        }
      },
    ),
  );
});
