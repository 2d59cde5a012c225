import { expect, test } from "vitest";
import type { Position } from "./position.ts";
import { advance, isRolledBack, type SequenceEvent, type SequenceState, startSequence, wakeAtMs } from "./sequence.ts";

const ours = new Uint8Array(32).fill(1);
const other = new Uint8Array(32).fill(2);

const at = (sequence: number, lineage = 1): Position => ({ lineage: BigInt(lineage), sequence: BigInt(sequence) });
const message = (sequence: number): SequenceEvent => ({ kind: "message", sequence: BigInt(sequence), marker: false });
const marker = (sequence: number): SequenceEvent => ({ kind: "message", sequence: BigInt(sequence), marker: true });
const head = (sequence: number, digest = ours, { lineage = 1, hubTimeMs = sequence } = {}): SequenceEvent => ({
  kind: "head",
  position: at(sequence, lineage),
  digest,
  hubTimeMs,
});
const told = (sequence: number, digest = ours): SequenceEvent => ({ kind: "told", position: at(sequence), digest });
const snapshot = (sequence: number, { useful = true, lineage = 1 } = {}): SequenceEvent => ({
  kind: "snapshot",
  position: at(sequence, lineage),
  useful,
});
const timer: SequenceEvent = { kind: "timer" };

/** Runs the events one by one, each at its time (the one before, unless it says another); our digest is `ours`. */
function run(state: SequenceState, ...events: readonly (SequenceEvent | readonly [number, SequenceEvent])[]) {
  let nowMs = 0;
  for (const entry of events) {
    const [time, event] = "kind" in entry ? [nowMs, entry] : entry;
    nowMs = time;
    state = advance(state, event, { nowMs, random: () => 0.5, digest: ours });
  }
  return state;
}

/** The state as one line. */
function show(state: SequenceState): string {
  const { cursor, ahead, snapshot } = state;
  return [
    `${cursor.lineage}/${cursor.sequence}`,
    ahead.length > 0 && `ahead ${ahead.join(",")}`,
    snapshot.kind === "planned" && `${snapshot.doubt}, asks at ${snapshot.dueMs}`,
    snapshot.kind === "asked" && "asked",
    !state.confirmed && "unconfirmed",
    state.failures > 0 && `failures ${state.failures}`,
    isRolledBack(state) && "rolled back",
  ]
    .filter((part) => part !== false)
    .join("; ");
}

const stored = startSequence({ cursor: at(10), horizon: at(10) });

interface Case {
  readonly name: string;
  readonly events: readonly (SequenceEvent | readonly [number, SequenceEvent])[];
  readonly want: string;
}

test.each<Case>([
  { name: "the next message", events: [message(11)], want: "1/11" },
  { name: "a duplicate", events: [message(11), message(11), message(3)], want: "1/11" },
  { name: "delete markers count", events: [message(11), marker(12), message(13), head(13)], want: "1/13" },
  { name: "a hole", events: [message(12)], want: "1/10; ahead 12; gap, asks at 1200" },
  { name: "a hole that fills", events: [message(12), message(13), message(11)], want: "1/13" },
  {
    name: "a hole whose plan stands until it fills",
    events: [message(13), [900, message(12)]],
    want: "1/10; ahead 12,13; gap, asks at 1200",
  },
  { name: "a head that agrees", events: [head(10)], want: "1/10" },
  { name: "a head that agrees further on", events: [message(14), head(13)], want: "1/13" },
  { name: "a head ahead", events: [head(11, other)], want: "1/10; behind, asks at 1200" },
  { name: "a head ahead of its message", events: [head(11), message(11)], want: "1/11" },
  { name: "another digest at the same sequence", events: [head(10, other)], want: "1/10; differs, asks at 1200" },
  { name: "a late head", events: [message(11), head(10, other)], want: "1/11" },
  { name: "a delete marker", events: [marker(11)], want: "1/11; hint, asks at 1200" },
  { name: "a delete marker explained", events: [marker(11), [1100, head(11)]], want: "1/11" },
  { name: "the plan comes due", events: [message(12), [1199, timer]], want: "1/10; ahead 12; gap, asks at 1200" },
  { name: "and asks", events: [message(12), [1200, timer]], want: "1/10; ahead 12; asked" },
  {
    name: "messages during the snapshot count after it",
    events: [message(12), [1200, timer], message(13), snapshot(11)],
    want: "1/13",
  },
  {
    name: "a snapshot before a further hole",
    events: [message(12), [1200, timer], message(14), snapshot(12)],
    want: "1/12; ahead 14; gap, asks at 3900; failures 1",
  },
  {
    name: "no answer",
    events: [message(12), [1200, timer], [11_200, timer]],
    want: "1/10; ahead 12; gap, asks at 13900; failures 1",
  },
  {
    name: "no answer many times waits no longer than a minute",
    events: [head(11, other), ...Array.from({ length: 20 }, (): SequenceEvent => ({ kind: "snapshot-failed" }))],
    want: "1/10; behind, asks at 46200; failures 20",
  },
  {
    name: "a snapshot that does not help is asked for ever more rarely",
    events: [head(10, other), [1200, timer], snapshot(10, { useful: false })],
    want: "1/10; differs, asks at 3900; failures 1",
  },
  {
    name: "a clock that was stepped back",
    events: [
      [90_000, message(12)],
      [100, timer],
    ],
    want: "1/10; ahead 12; asked",
  },
  {
    name: "a connection that is back forgets them too",
    events: [
      head(11, other),
      ...Array.from({ length: 20 }, (): SequenceEvent => ({ kind: "snapshot-failed" })),
      [9_000, { kind: "connected" }],
    ],
    want: "1/10; behind, asks at 10200",
  },
  {
    name: "agreement forgets the failures",
    events: [head(10, other), [1200, timer], snapshot(10, { useful: false }), head(10, ours, { hubTimeMs: 11 })],
    want: "1/10",
  },
  {
    name: "an older snapshot moves nothing back",
    events: [head(12, other), [1200, timer], snapshot(9), [1300, head(12, other, { hubTimeMs: 13 })]],
    want: "1/10; behind, asks at 3900; failures 1",
  },
  { name: "a replayed head", events: [head(10), head(9, other)], want: "1/10" },
  { name: "a head of an older lineage", events: [head(10, other, { lineage: 0, hubTimeMs: 99 })], want: "1/10" },
  { name: "a new store that agrees", events: [head(3, ours, { lineage: 2 })], want: "2/3" },
  {
    name: "a new store that differs",
    events: [head(3, other, { lineage: 2 }), [1200, timer], snapshot(3, { lineage: 2 })],
    want: "2/3; differs, asks at 2400",
  },
  {
    name: "a snapshot of a lineage that nobody signed",
    events: [message(12), [1200, timer], snapshot(99, { lineage: 9 })],
    want: "1/10; ahead 12; gap, asks at 3900; failures 1",
  },
  { name: "heads below, once", events: [head(8, other, { hubTimeMs: 99 })], want: "1/10; rolled back" },
  {
    name: "heads that stay below",
    events: [
      head(8, other, { hubTimeMs: 90 }),
      [2000, head(8, other, { hubTimeMs: 92 })],
      [5000, head(8, other, { hubTimeMs: 94 })],
    ],
    want: "1/8; below, asks at 6200; rolled back",
  },
  {
    name: "an invented sequence number is forgotten",
    events: [message(11), message(1_000_000), head(11), message(12), head(12)],
    want: "1/12",
  },
  { name: "what was told at renewal", events: [told(12, other)], want: "1/10; behind, asks at 1200" },
])("$name", ({ events, want }) => {
  expect(show(run(stored, ...events))).toBe(want);
});

test.each<Case>([
  {
    name: "asks at once when it was told where the map is",
    events: [told(10, other)],
    want: "1/0; behind, asks at 0; unconfirmed",
  },
  { name: "is confirmed by the digest it was told", events: [told(10), timer, snapshot(10)], want: "1/10" },
  {
    name: "is confirmed by a later head",
    events: [told(10, other), timer, snapshot(12), head(12)],
    want: "1/12",
  },
  {
    name: "is not confirmed by a replayed head and snapshot from before",
    events: [told(10, other), timer, snapshot(8), head(8)],
    want: "1/8; behind, asks at 2700; unconfirmed; failures 1",
  },
  {
    name: "waits for somebody to tell it anything",
    events: [timer, message(5)],
    want: "0/0; ahead 5; gap, asks at 0; unconfirmed",
  },
])("a fresh agent $name", ({ events, want }) => {
  expect(show(run(startSequence(), ...events))).toBe(want);
});

test("says when it wants to be woken", () => {
  expect(wakeAtMs(stored)).toBeUndefined();
  expect(wakeAtMs(run(stored, message(12)))).toBe(1200);
  expect(wakeAtMs(run(stored, message(12), [1200, timer]))).toBe(11_200);
});

test("forgets what is too far ahead rather than grow without end", () => {
  const events = Array.from({ length: 3_000 }, (_, index) => message(20 + index));
  expect(run(stored, ...events).ahead).toHaveLength(1_024);
});
