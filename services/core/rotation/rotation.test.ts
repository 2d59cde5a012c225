import { describe, expect, test } from "vitest";
import { abort, close, type EpochView, nextOpening, openEpochs, openNext, settle, targetEpoch } from "./epoch.ts";
import { decideKeys } from "./keys.ts";
import { decideStep, type GatewayReport } from "./lead.ts";
import { decidePair, type PairPhase, type PairView } from "./pair.ts";

const STEADY: EpochView = { active: 4n, opening: undefined, state: "steady", generation: 9n };
const OPEN: EpochView = { active: 4n, opening: 5n, state: "open", generation: 10n };
const CLOSING: EpochView = { ...OPEN, state: "closing", generation: 11n };
const ABORTED: EpochView = { ...OPEN, state: "aborted", generation: 11n };

describe("the epoch record", () => {
  test("goes round by open, closing and steady", () => {
    expect(openNext(STEADY)).toEqual(OPEN);
    expect(close(OPEN)).toEqual(CLOSING);
    expect(settle(CLOSING)).toEqual({ active: 5n, opening: undefined, state: "steady", generation: 12n });
  });

  test("burns the number of an aborted epoch", () => {
    expect(abort(OPEN)).toEqual(ABORTED);
    expect(openNext(ABORTED)).toEqual({ active: 4n, opening: 7n, state: "open", generation: 12n });
    expect(nextOpening({ ...ABORTED, active: 5n, opening: 8n })).toBe(10n);
  });

  test.each([
    ["steady", STEADY, 4n, [4n]],
    ["open", OPEN, 5n, [4n, 5n]],
    ["closing", CLOSING, 5n, [5n]],
    ["aborted", ABORTED, 4n, [4n]],
  ])("%s: where to send, and which keys are made", (_, epoch, target, keys) => {
    expect([targetEpoch(epoch), openEpochs(epoch)]).toEqual([target, keys]);
  });

  test("has no other steps", () => {
    for (const each of [STEADY, CLOSING, ABORTED]) expect([close(each), abort(each)]).toEqual([undefined, undefined]);
    for (const each of [OPEN, CLOSING]) expect(openNext(each)).toBeUndefined();
    for (const each of [STEADY, OPEN, ABORTED]) expect(settle(each)).toBeUndefined();
  });
});

describe("a pair", () => {
  const before: PairView = {
    common: [4n],
    built: [4n],
    sendsOn: 4n,
    ready: [4n],
    heard: { sendsOn: 4n, generation: 9n },
    quiet: true,
    isAlive: true,
  };
  const both: PairView = { ...before, common: [4n, 5n], built: [4n, 5n], ready: [4n] };
  const ready: PairView = { ...both, ready: [4n, 5n] };
  const flipped: PairView = { ...ready, sendsOn: 5n, quiet: false };
  const drained: PairView = { ...flipped, heard: { sendsOn: 5n, generation: 10n }, quiet: true };
  const told: PairView = { ...drained, heard: { sendsOn: 5n, generation: 11n } };

  test.each<[string, EpochView, PairView, string]>([
    ["rests", STEADY, before, "4 >4 done"],
    ["waits for the other's key", OPEN, before, "4 >4 waiting"],
    ["adds the peer", OPEN, { ...both, built: [4n] }, "4,5 >4 waiting"],
    ["does not flip before it is proven", OPEN, both, "4,5 >4 building"],
    ["flips by itself", OPEN, ready, "4,5 >5 ready"],
    ["waits for the other to flip", OPEN, flipped, "4,5 >5 flipped"],
    ["keeps the old peer while it may be aborted", OPEN, drained, "4,5 >5 drained"],
    ["keeps it until the other has read that it closes", CLOSING, drained, "4,5 >5 flipped"],
    ["then lets it go", CLOSING, told, "5 >5 drained"],
    ["keeps it for one that has not flipped", CLOSING, { ...flipped, heard: before.heard }, "4,5 >5 flipped"],
    ["keeps it while packets come by it", CLOSING, { ...told, quiet: false }, "4,5 >5 flipped"],
    ["goes back when it is aborted", ABORTED, flipped, "4,5 >4 ready"],
    ["goes back to what works when the new one fails", OPEN, { ...flipped, ready: [4n] }, "4,5 >4 flipped"],
    ["stays where it is when nothing works", OPEN, { ...flipped, ready: [] }, "4,5 >5 flipped"],
    ["lives on with one that missed a rotation", { ...STEADY, active: 5n }, before, "4 >4 waiting"],
    [
      "sends to a new pair at once",
      STEADY,
      { ...before, built: [], sendsOn: undefined, ready: [] },
      "4 >undefined waiting",
    ],
  ])("%s", (_, epoch, pair, expected) => {
    const { build, sendOn, phase } = decidePair(epoch, pair);
    expect(`${build} >${sendOn} ${phase}`).toBe(expected);
  });
});

describe("keys", () => {
  test.each([
    ["are made for both epochs by one that joins in mid-rotation", OPEN, [], [], "make 4,5 destroy "],
    ["are not made anew for an epoch that closes", CLOSING, [5n], [5n], "make  destroy "],
    ["are kept while a pair needs them", CLOSING, [4n, 5n], [4n, 5n], "make  destroy "],
    ["are destroyed when none does", CLOSING, [4n, 5n], [5n], "make  destroy 4"],
    ["of an aborted epoch go", ABORTED, [4n, 5n], [4n], "make  destroy 5"],
    ["wait for their plane while a pair lives on its former epoch", OPEN, [3n, 4n], [3n, 4n], "make  destroy "],
    ["take their plane as soon as none does", OPEN, [3n, 4n], [4n], "make 5 destroy 3"],
  ])("%s", (_, epoch, held, inUse, expected) => {
    const { make, destroy } = decideKeys(epoch, { held, inUse });
    expect(`make ${make} destroy ${destroy}`).toBe(expected);
  });
});

describe("the leader", () => {
  const live = new Set(["eu.0", "us.0"]);
  const report = (generation: bigint, behind: Readonly<Record<string, PairPhase>> = {}): GatewayReport => ({
    generation,
    hasKey: true,
    behind: new Map(Object.entries(behind)),
    unlisted: 0,
  });
  const all = (generation: bigint, behind?: Readonly<Record<string, PairPhase>>) =>
    new Map([...live].map((gateway) => [gateway, report(generation, behind)]));

  test("opens on request only, and when everybody is done with the last one", () => {
    const view = { epoch: STEADY, live, reports: all(9n), request: undefined };
    expect(decideStep(view)).toEqual({ kind: "rest" });
    expect(decideStep({ ...view, request: "open" })).toEqual({ kind: "write", epoch: OPEN });
    expect(decideStep({ ...view, request: "abort" })).toEqual({ kind: "rest" });
    const reports = new Map([...all(9n), ["us.0", report(9n, { "eu.0": "waiting" })]]);
    expect(decideStep({ ...view, reports, request: "open" })).toEqual({
      kind: "wait",
      for: [{ gateway: "us.0", pair: { with: "eu.0", phase: "waiting" } }],
    });
  });

  test("closes when every live pair has drained, and says whom it waits for", () => {
    const view = { epoch: OPEN, live, reports: all(10n, { "eu.0": "drained", "us.0": "drained" }), request: undefined };
    expect(decideStep(view)).toEqual({ kind: "write", epoch: CLOSING });
    expect(decideStep({ ...view, reports: new Map([["eu.0", report(10n, { "us.0": "flipped" })]]) })).toEqual({
      kind: "wait",
      for: [
        { gateway: "eu.0", pair: { with: "us.0", phase: "flipped" } },
        { gateway: "us.0", pair: undefined },
      ],
    });
  });

  test("waits for a gateway that has no key yet", () => {
    const reports = new Map([...all(10n), ["us.0", { ...report(10n), hasKey: false }]]);
    const step = decideStep({ epoch: OPEN, live, reports, request: undefined });
    expect(step).toEqual({ kind: "wait", for: [{ gateway: "us.0", pair: undefined }] });
  });

  test("waits for pairs that a report has no room to name", () => {
    const reports = new Map([...all(10n), ["us.0", { ...report(10n), unlisted: 3 }]]);
    const step = decideStep({ epoch: OPEN, live, reports, request: undefined });
    expect(step).toEqual({ kind: "wait", for: [{ gateway: "us.0", pair: undefined }] });
  });

  test("waits for nobody that is away", () => {
    const reports = new Map([["eu.0", report(10n, { "us.0": "waiting" })]]);
    expect(decideStep({ epoch: OPEN, live: new Set(["eu.0"]), reports, request: undefined }).kind).toBe("write");
  });

  test("does not take the report of an earlier step for one of this", () => {
    expect(decideStep({ epoch: CLOSING, live, reports: all(10n), request: undefined }).kind).toBe("wait");
    expect(decideStep({ epoch: CLOSING, live, reports: all(11n), request: undefined }).kind).toBe("write");
  });

  test("lets a second request wait until the rotation has settled", () => {
    expect(decideStep({ epoch: CLOSING, live, reports: all(10n), request: "open" }).kind).toBe("wait");
    expect(decideStep({ epoch: CLOSING, live, reports: all(11n), request: "abort" }).kind).toBe("write");
  });
});
