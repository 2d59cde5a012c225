import { create, fromBinary } from "@bufbuild/protobuf";
import type { Desired } from "@spanwire/core/desired/desired";
import type { OpenedRecord } from "@spanwire/core/records/open";
import { MESH_ID } from "@spanwire/core/records/testing";
import { GatewayStatusSchema } from "@spanwire/proto/agent";
import { type Acknowledgement, PayloadSchema, RecordSchema } from "@spanwire/proto/record";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { describe, expect, test } from "vitest";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import type { ObservedPeer } from "../kernel/port.ts";
import type { MapHealth } from "../subscription/subscription.ts";
import { type Applied, startAcknowledger } from "./acknowledger.ts";
import { findEndings, observeAbsence, withoutWanted } from "./endings.ts";
import { healthOf, type LinkReport, linkReport } from "./link-health.ts";
import { mapConditions } from "./map-conditions.ts";
import { startStatusReports } from "./status-reports.ts";

const NOW = 1_800_000_000_000;
const self = { clusterId: "eu", ordinal: 0 };

/** What a loop needs, and a connection that keeps what is published. */
function stage({ connected = true } = {}) {
  const clock = new FakeClock(NOW);
  const stop = new AbortController();
  const published: { subject: string; bytes: Uint8Array; atMs: number }[] = [];
  const connection = {
    publish: (subject: string, bytes: unknown) =>
      void published.push({ subject, bytes: bytes as Uint8Array, atMs: clock.now() - NOW }),
  };
  const state = { connected };
  const nats = () => (state.connected ? connection : undefined);
  return {
    clock,
    stop,
    published,
    state,
    options: { self, clock, nats, random: () => 0, log: createRecordingLog(), signal: stop.signal },
  };
}

describe("acknowledgements", () => {
  const applied = (sequence: bigint, more: Partial<Applied> = {}): Applied => ({
    position: { lineage: 3n, sequence },
    atMs: NOW,
    absent: [],
    failures: [],
    ...more,
  });
  const absent = { key: "cluster.us", incarnation: 1n, generation: 2n, absentAtMs: NOW };

  function start(connected = true) {
    const scene = stage({ connected });
    const signer = { publicKey: new Uint8Array(32), sign: async () => new Uint8Array(64) };
    const acknowledger = startAcknowledger({ ...scene.options, incarnation: 7n, meshId: MESH_ID, signer });
    const said = () =>
      scene.published.map(({ bytes, atMs }) => {
        const payload = fromBinary(PayloadSchema, fromBinary(RecordSchema, bytes).payload);
        return { atMs, payload, value: payload.body.value as Acknowledgement };
      });
    return { ...scene, acknowledger, said };
  }

  test("an ordinary change waits half a second, and several are one", async () => {
    const { clock, acknowledger, said, published, stop } = start();
    acknowledger.note(applied(5n));
    acknowledger.note(applied(6n));
    await clock.advance(499);
    expect(said()).toEqual([]);
    await clock.advance(1);
    expect(said()).toMatchObject([
      { value: { lineage: 3n, sequence: 6n }, payload: { key: "applied.eu.0", incarnation: 7n } },
    ]);
    expect(published[0]?.subject).toBe("sw.v1.up.eu.0.applied");
    stop.abort();
    await acknowledger.done;
  });

  test("a revocation is said at once, but not within 100 ms of the last", async () => {
    const { clock, acknowledger, said, stop } = start();
    acknowledger.note(applied(5n, { absent: [absent] }));
    await clock.advance(0);
    acknowledger.note(applied(6n, { absent: [{ ...absent, key: "cluster.asia" }] }));
    await clock.advance(99);
    expect(said().map(({ atMs }) => atMs)).toEqual([0]);
    await clock.advance(1);
    expect(said().map(({ atMs, value }) => [atMs, value.tombstones.map(({ key }) => key)])).toEqual([
      [0, ["cluster.us"]],
      [100, ["cluster.asia"]],
    ]);
    expect(Number(said()[0]?.value.tombstones[0]?.absentAt?.seconds) * 1_000).toBe(NOW);
    stop.abort();
    await acknowledger.done;
  });

  test("what cannot be sent waits for the connection, and no absence is lost", async () => {
    const { clock, acknowledger, said, state, stop } = start(false);
    acknowledger.note(applied(5n, { absent: [absent] }));
    await clock.advance(1_000);
    acknowledger.note(applied(6n));
    state.connected = true;
    acknowledger.connected();
    await clock.advance(0);
    expect(said()).toMatchObject([{ value: { sequence: 6n, tombstones: [{ key: "cluster.us" }] } }]);
    stop.abort();
    await acknowledger.done;
  });

  test("the last one is repeated twice, and again after each reconnect; the count only grows", async () => {
    const { clock, acknowledger, said, stop } = start();
    acknowledger.note(applied(5n));
    await clock.advance(500);
    for (let n = 0; n < 5; n++) acknowledger.repeat();
    expect(said()).toHaveLength(3);
    acknowledger.connected();
    expect(said()).toHaveLength(4);
    clock.step(-3_600_000);
    acknowledger.note(applied(6n));
    await clock.advance(500);
    const generations = said().map(({ payload }) => payload.generation);
    expect(new Set(generations.slice(0, 4)).size).toBe(1);
    expect(generations[4]).toBeGreaterThan(generations[0] ?? 0n);
    stop.abort();
    await acknowledger.done;
  });
});

describe("status reports", () => {
  function start(connected = true) {
    const scene = stage({ connected });
    const intervals: number[] = [];
    const reports = startStatusReports({
      ...scene.options,
      random: () => 0.5,
      build: () => create(GatewayStatusSchema, { agentVersion: "1" }),
      onInterval: () => intervals.push(scene.clock.now() - NOW),
    });
    return { ...scene, reports, intervals, times: () => scene.published.map(({ atMs }) => atMs) };
  }

  test("at once, then every 30 s with a phase of its own", async () => {
    const { clock, reports, times, intervals, published, stop } = start();
    await clock.advance(80_000);
    expect(times()).toEqual([0, 15_000, 45_000, 75_000]);
    expect(intervals).toEqual([15_000, 45_000, 75_000]);
    expect(published[0]?.subject).toBe("sw.v1.up.eu.0.status");
    stop.abort();
    await reports.done;
  });

  test("a head shortly before the next one is due brings it forward, and gateways keep together from then on", async () => {
    const { clock, reports, times, stop } = start();
    await clock.advance(15_000);
    for (let n = 0; n < 9; n++) {
      await clock.advance(10_000);
      reports.onHead();
      await clock.advance(0);
    }
    expect(times()).toEqual([0, 15_000, 45_000, 75_000, 105_000]);
    for (let n = 0; n < 3; n++) {
      await clock.advance(n === 0 ? 3_000 : 10_000);
      reports.onHead();
      await clock.advance(0);
    }
    expect(times().slice(5)).toEqual([128_000]);
    for (let n = 0; n < 6; n++) {
      await clock.advance(10_000);
      reports.onHead();
      await clock.advance(0);
    }
    expect(times().slice(6)).toEqual([158_000, 188_000]);
    stop.abort();
    await reports.done;
  });

  test("soon after a change, at most once a second", async () => {
    const { clock, reports, times, stop } = start();
    await clock.advance(5_000);
    for (let n = 0; n < 30; n++) {
      reports.changed();
      await clock.advance(100);
    }
    expect(times()).toEqual([0, 5_000, 6_000, 7_000, 8_000]);
    stop.abort();
    await reports.done;
  });

  test("goes on where the clock is stepped back", async () => {
    const { clock, times, stop, reports } = start();
    await clock.advance(1_000);
    clock.step(-86_400_000);
    await clock.advance(80_000);
    expect(times().length).toBeGreaterThanOrEqual(4);
    stop.abort();
    await reports.done;
  });

  test("housekeeping goes on without a connection, and the status follows once there is one", async () => {
    const { clock, reports, times, intervals, state, stop } = start(false);
    await clock.advance(50_000);
    expect([times(), intervals]).toEqual([[], [15_000, 45_000]]);
    state.connected = true;
    reports.changed();
    await clock.advance(0);
    expect(times()).toEqual([50_000]);
    stop.abort();
    await reports.done;
  });
});

describe("link health", () => {
  const wanted = {
    publicKey: "K=",
    endpoints: ["192.0.2.2:51820"],
    hasPresharedKey: false,
    keepaliveSeconds: 20,
    allowedIps: [],
  };
  const peer: ObservedPeer = {
    ...wanted,
    endpoint: "192.0.2.2:51820",
    lastHandshakeMs: NOW - 1_000,
    rxBytes: 1,
    txBytes: 2,
  };
  const health = (peers: readonly Partial<ObservedPeer>[], endpoints = wanted.endpoints) => {
    const clusters = new Map(
      peers.map((_, n) => [`c${n}`, { peers: [{ ...wanted, endpoints, device: "sw-a1", publicKey: `K${n}=` }] }]),
    );
    const observed = peers.map((each, n) => ({ ...peer, ...each, publicKey: `K${n}=` }));
    const device = { name: "sw-a1", listenPort: 1, fwmark: 0, publicKey: undefined, peers: observed };
    return linkReport({ clusters, lanes: healthOf(new Map([["sw-a1", device]])), nowMs: NOW });
  };

  test("one for each wanted peer of the kernel", () => {
    expect(health([{}]).links).toMatchObject([
      {
        clusterId: "c0",
        ordinal: 1,
        device: "sw-a1",
        endpoint: "192.0.2.2:51820",
        receivedBytes: 1n,
        sentBytes: 2n,
        roamed: false,
      },
    ]);
  });

  test("roamed is what was never said; of a name nobody can tell", () => {
    expect(health([{ endpoint: "203.0.113.5:4000" }]).links[0]?.roamed).toBe(true);
    expect(health([{ endpoint: "203.0.113.5:4000" }], ["gw.example:51820"]).links[0]?.roamed).toBe(false);
    expect(health([{ endpoint: undefined }]).links[0]).toMatchObject({ roamed: false, endpoint: "" });
  });

  const crowd = (size: number, odd: readonly Partial<ObservedPeer>[]): Partial<ObservedPeer>[] =>
    Array.from({ length: size }, (_, n) => odd[n] ?? {});
  const idsOf = ({ links }: LinkReport) => links.map(({ clusterId }) => clusterId);
  const SILENT = { lastHandshakeMs: undefined };
  const ROAMED = { endpoint: "203.0.113.5:4000" };

  test("of a small mesh all, silent ones first, then those that roamed", () => {
    expect(idsOf(health(crowd(4, [{}, ROAMED, SILENT])))).toEqual(["c2", "c1", "c0", "c3"]);
  });

  test("of a large one those that are worth a look, and not more than 256", () => {
    const large = health(crowd(1_000, [{}, ROAMED, SILENT]));
    expect(idsOf(large)).toEqual(["c2", "c1"]);
    expect(large.totals).toMatchObject({ links: 1_000, established: 999, receivedBytes: 1_000n, sentBytes: 2_000n });
    expect(health(crowd(1_000, Array(1_000).fill(SILENT))).links).toHaveLength(256);
  });
});

describe("conditions of the map", () => {
  const healthy: MapHealth = {
    position: { lineage: 1n, sequence: 9n },
    confirmed: true,
    rolledBack: false,
    missing: 0,
    failures: 0,
    head: { heardAtMs: NOW - 2_000, hubTimeMs: NOW - 2_000 },
    rejections: [],
    notSaved: undefined,
  };
  const rejection = {
    key: "gateway.us.0",
    reason: "BAD_SIGNATURE",
    message: "no",
    bytes: new Uint8Array(),
    atMs: NOW,
    count: 3,
  };

  test.each([
    { name: "nothing to say", health: {}, want: [] },
    {
      name: "no head for long",
      health: { head: { heardAtMs: NOW - 31_000, hubTimeMs: NOW - 31_000 } },
      want: ["HubSilent"],
    },
    { name: "never a head, just started", health: { head: undefined }, sinceMs: NOW - 1_000, want: [] },
    { name: "never a head, long ago", health: { head: undefined }, want: ["HubSilent"] },
    {
      name: "heads that come late",
      health: { head: { heardAtMs: NOW, hubTimeMs: NOW - 40_000 } },
      want: ["RelayStale"],
    },
    { name: "a map not confirmed", health: { confirmed: false }, want: ["MapNotConfirmed"] },
    { name: "a store rolled back", health: { rolledBack: true }, want: ["StoreRolledBack"] },
    { name: "records to hand back", health: { missing: 2 }, want: ["StoreRolledBack"] },
    { name: "snapshots that do not help", health: { failures: 3 }, want: ["MapDiffers"] },
    { name: "a full disk", health: { notSaved: "ENOSPC" }, want: ["StateNotSaved"] },
    { name: "a forged record", health: { rejections: [rejection] }, want: ["RecordRejected"] },
  ])("$name", ({ health, sinceMs = NOW - 60_000, want }) => {
    const facts = { sinceMs, nowMs: NOW, statementProblem: undefined, renewalProblem: undefined };
    expect(mapConditions({ ...facts, health: { ...healthy, ...health } }).map(({ type }) => type)).toEqual(want);
  });

  test("the hub's refusals", () => {
    const facts = { health: healthy, sinceMs: NOW, nowMs: NOW, statementProblem: "refused", renewalProblem: "revoked" };
    expect(mapConditions(facts)).toMatchObject([
      { type: "StatementNotStored", message: "refused" },
      { type: "CredentialsNotRenewed", message: "revoked" },
    ]);
  });
});

describe("endings", () => {
  const desired = (...publicKeys: string[]) =>
    ({ clusters: new Map([["us", { peers: publicKeys.map((publicKey) => ({ publicKey })) }]]) }) as unknown as Desired;
  const record = (key: string, body: string) =>
    ({ key, order: { incarnation: 1n, generation: 2n }, payload: { body: { case: body } } }) as unknown as OpenedRecord;
  const order = { incarnation: 1n, generation: 2n };

  test("a tombstone ends the peers that its cluster had and has no more", () => {
    const records = [
      record("gateway.us.0", "tombstone"),
      record("gateway.us.1", "statement"),
      record("epoch", "tombstone"),
    ];
    const endings = findEndings(records, desired("A=", "B="));
    expect(endings).toEqual([
      { key: "gateway.us.0", ...order, publicKeys: ["A=", "B="] },
      { key: "epoch", ...order, publicKeys: [] },
    ]);
    expect(endings.map((ending) => withoutWanted(ending, desired("B=")).publicKeys)).toEqual([["A="], []]);
  });

  test("absent is what no lane has", async () => {
    const kernel = new FakeKernel();
    kernel.byHand({ kind: "add-wireguard-link", name: "sw-a0", mtuBytes: 1420 });
    const add = { kind: "add-peer", device: "sw-a0", keepaliveSeconds: 20, allowedIps: [] } as const;
    kernel.byHand({ ...add, publicKey: "B=" });
    const endings = [
      { key: "gateway.us.0", ...order, publicKeys: ["A="] },
      { key: "gateway.us.1", ...order, publicKeys: ["A=", "B="] },
    ];
    expect(await observeAbsence(kernel, endings, () => NOW)).toEqual({
      absent: [{ key: "gateway.us.0", ...order, absentAtMs: NOW }],
      present: [endings[1]],
    });
  });
});
