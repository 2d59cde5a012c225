import { createHash } from "node:crypto";
import type { Signer } from "@spanwire/core/records/crypto";
import { formatOrder, type Order } from "@spanwire/core/records/order";
import type { RecordMap } from "@spanwire/core/records/record-map";
import { recordsBy } from "@spanwire/core/records/testing";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Intake, type IntakeEffect, type Message } from "./intake.ts";
import { ModelHub } from "./model-hub.ts";

const SLOW_MACHINE_MS = 60_000;

/** Signatures that cost nothing: whose they are is what `open.test.ts` of the records tests with real keys. */
const FORGED = 1;
const crypto = {
  sha256: (data: Uint8Array | string) => new Uint8Array(createHash("sha256").update(data).digest()),
  verify: (_key: Uint8Array, _message: Uint8Array, signature: Uint8Array) => signature[0] !== FORGED,
};
const signerFrom = (seed: number): Signer => ({
  publicKey: new Uint8Array(32).fill(seed),
  sign: async () => new Uint8Array(64),
});
const root = signerFrom(1);
const online = signerFrom(2);
const by = recordsBy(root, crypto);
const forger: Signer = { ...online, sign: async () => new Uint8Array(64).fill(FORGED) };

const CLUSTERS = ["c0", "c1", "c2"];
const identityOf = (cluster: string, incarnation: bigint) =>
  signerFrom(10 + CLUSTERS.indexOf(cluster) * 10 + Number(incarnation));

function start() {
  const hub = new ModelHub({ root, online, by, crypto });
  const map = by.emptyMap();
  const intake = new Intake({ map, stored: undefined, random: () => 0.5 });
  return { hub, map, intake };
}

/** A hub with three clusters and an agent that holds what the hub holds. */
async function joined() {
  const { hub, map, intake } = start();
  hub.write("delegation", await by.delegation(online));
  for (const cluster of CLUSTERS) {
    hub.write(`cluster.${cluster}`, await by.admission(cluster, [identityOf(cluster, 1n)]));
    hub.write(`gateway.${cluster}.0`, await by.statement(identityOf(cluster, 1n), cluster));
  }
  const { position, map: hubMap } = hub;
  intake.told({ $typeName: "spanwire.v1.MapState", ...position, digest: hubMap.digest() }, 0);
  intake.timer(0);
  intake.snapshot(hub.snapshot(), 0);
  expect(intake.state.confirmed).toBe(true);
  expect(map.digest()).toEqual(hub.map.digest());
  return { hub, map, intake };
}

function show(effects: readonly IntakeEffect[]): string[] {
  return effects.map((effect) => {
    if (effect.kind === "accepted") return `accepted ${effect.record.key}`;
    return effect.kind === "rejected" ? `rejected ${effect.rejection.key} ${effect.rejection.reason}` : effect.kind;
  });
}

describe("takes in", () => {
  test("a change, once", async () => {
    const { hub, intake } = await joined();
    const message = hub.write("gateway.c0.0", await by.statement(identityOf("c0", 1n), "c0", { generation: 2n }));
    expect(show(intake.message(message as Message, 0))).toEqual(["accepted gateway.c0.0"]);
    expect(intake.message(message as Message, 0)).toEqual([]);
    expect(intake.wakeAtMs()).toBeUndefined();
  });

  test("a snapshot in whatever order it lists its records", async () => {
    const { hub } = await joined();
    await fc.assert(
      fc.asyncProperty(fc.shuffledSubarray(hub.snapshot().entries as [], { minLength: 7 }), async (entries) => {
        const { map, intake } = start();
        intake.told({ $typeName: "spanwire.v1.MapState", ...hub.position, digest: hub.map.digest() }, 0);
        const effects = intake.snapshot({ ...hub.snapshot(), entries }, 0);
        expect(effects.every(({ kind }) => kind === "accepted")).toBe(true);
        expect(map.digest()).toEqual(hub.map.digest());
        expect(intake.state.confirmed).toBe(true);
      }),
      { numRuns: 20 },
    );
  });

  test("a statement of a former identity is not worth a word", async () => {
    const { hub } = await joined();
    hub.write("cluster.c0", await by.admission("c0", [identityOf("c0", 2n)], { incarnation: 2n }));
    const { intake } = start();
    const effects = intake.snapshot(hub.snapshot(), 0);
    expect(effects.filter(({ kind }) => kind === "rejected")).toEqual([]);
  });

  test("a key that one gateway gave up and another claimed, although the snapshot lists the claim first", async () => {
    const { hub, intake, map } = await joined();
    const publicKey = new Uint8Array(32).fill(7);
    const owner = (generation: bigint, key?: Uint8Array) =>
      by.statement(identityOf("c2", 1n), "c2", { generation, ...(key && { publicKey: key }) });
    intake.message(hub.write("gateway.c2.0", await owner(2n, publicKey)) as Message, 0);
    hub.write("gateway.c2.0", await owner(3n));
    hub.write("gateway.c0.0", await by.statement(identityOf("c0", 1n), "c0", { generation: 2n, publicKey }));
    expect(show(intake.snapshot(hub.snapshot(), 0))).toEqual(["accepted gateway.c2.0", "accepted gateway.c0.0"]);
    expect(map.digest()).toEqual(hub.map.digest());
  });
});

describe("rejects with evidence and changes nothing", () => {
  const order = { incarnation: 1n, generation: 9n };
  const epoch = { case: "epoch", value: { active: 0n } } as const;

  test.each([
    {
      name: "a forged signature",
      key: "epoch",
      bytes: () => by.sign(forger, { key: "epoch", ...order, body: epoch }),
      want: "BAD_SIGNATURE",
    },
    {
      name: "a stranger",
      key: "epoch",
      bytes: () => by.sign(signerFrom(99), { key: "epoch", ...order, body: epoch }),
      want: "UNKNOWN_SIGNER",
    },
    { name: "no record at all", key: "gateway.c0.0", bytes: async () => new Uint8Array([1, 2, 3]), want: "MALFORMED" },
    {
      name: "a fork",
      key: "gateway.c0.0",
      bytes: () => by.statement(identityOf("c0", 1n), "c0", { host: "203.0.113.1" }),
      want: "FORK",
    },
    {
      name: "a head in the place of a record",
      key: "head",
      bytes: () => by.sign(online, { key: "head", ...order, body: { case: "head", value: {} } }),
      want: "NOT_IN_MAP",
    },
  ])("$name", async ({ key, bytes, want }) => {
    const { intake, map, hub } = await joined();
    const delivered = await bytes();
    const effects = intake.message({ key, bytes: delivered, sequence: hub.position.sequence + 1n }, 0);
    expect(effects).toMatchObject([{ kind: "rejected", rejection: { key, reason: want, bytes: delivered } }]);
    expect(map.digest()).toEqual(hub.map.digest());
  });

  test("a head of an older lineage, and a forged one", async () => {
    const { hub, intake } = await joined();
    const old = await hub.head(1_000);
    hub.rollBack(hub.copy(), { noticed: true });
    intake.head(await hub.head(2_000), 0);
    const before = intake.state;
    expect(show(intake.head(old, 0))).toEqual(["rejected head OLD_LINEAGE"]);
    expect(show(intake.head(await by.sign(forger, { key: "head", incarnation: 9n, generation: 9n }), 0))).toEqual([
      "rejected head BAD_SIGNATURE",
    ]);
    expect(intake.state).toEqual(before);
  });
});

test("a delete marker removes nothing", async () => {
  const { hub, intake, map } = await joined();
  expect(intake.message(hub.delete("gateway.c0.0"), 0)).toEqual([]);
  expect(map.get("gateway.c0.0")).toBeDefined();
  expect(intake.state.snapshot).toMatchObject({ kind: "planned", doubt: "hint" });
});

test("hands back what a store has lost, until it is there again", async () => {
  const { hub, intake } = await joined();
  const old = hub.copy();
  const statement = await by.statement(identityOf("c0", 1n), "c0", { generation: 2n });
  intake.message(hub.write("gateway.c0.0", statement) as Message, 0);
  intake.message(hub.write("cluster.c9", await by.admission("c9", [])) as Message, 0);
  hub.rollBack(old, { noticed: true });
  intake.head(await hub.head(2_000), 0);
  expect(show(intake.timer(10_000))).toEqual(["ask-snapshot"]);
  intake.snapshot(hub.snapshot(), 10_000);
  expect([...intake.missing.keys()].sort()).toEqual(["cluster.c9", "gateway.c0.0"]);

  intake.message(hub.write("gateway.c0.0", statement) as Message, 11_000);
  expect([...intake.missing.keys()]).toEqual(["cluster.c9"]);
  for (const { key, bytes } of intake.missing.values()) hub.write(key, bytes);
  intake.head(await hub.head(12_000), 12_000);
  expect(intake.missing.size).toBe(0);
  expect(intake.state.snapshot.kind).toBe("idle");
});

type Step =
  | { readonly kind: "write"; readonly record: number; readonly fate: "deliver" | "lose" | "hold" | "twice" }
  | { readonly kind: "release" }
  | { readonly kind: "forge"; readonly record: number }
  | { readonly kind: "delete"; readonly cluster: number }
  | { readonly kind: "head" }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "answer"; readonly lost: boolean }
  | { readonly kind: "roll-back"; readonly noticed: boolean };

const record = fc.nat(1_000);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("write" as const),
        record,
        fate: fc.constantFrom("deliver" as const, "lose" as const, "hold" as const, "twice" as const),
      }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("release" as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("forge" as const), record }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("delete" as const), cluster: fc.nat(2) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("head" as const) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(5_000) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant("answer" as const), lost: fc.boolean() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("roll-back" as const), noticed: fc.boolean() }) },
  ),
  { maxLength: 60 },
);

/** Admissions of three incarnations and statements of each, with tombstones of both among them. */
async function recordPool(): Promise<{ key: string; bytes: Uint8Array }[]> {
  const pool: { key: string; bytes: Uint8Array }[] = [];
  for (const cluster of CLUSTERS) {
    for (const incarnation of [1n, 2n, 3n]) {
      const identity = identityOf(cluster, incarnation);
      const order = { incarnation, generation: 5n };
      const tombstone = { case: "tombstone", value: {} } as const;
      for (const generation of [2n, 3n, 4n]) {
        const [key, statementKey] = [`cluster.${cluster}`, `gateway.${cluster}.0`];
        pool.push({ key, bytes: await by.admission(cluster, [identity], { incarnation, generation }) });
        pool.push({ key: statementKey, bytes: await by.statement(identity, cluster, { incarnation, generation }) });
      }
      pool.push({
        key: `cluster.${cluster}`,
        bytes: await by.sign(online, { key: `cluster.${cluster}`, ...order, body: tombstone }),
      });
      pool.push({
        key: `gateway.${cluster}.0`,
        bytes: await by.sign(online, { key: `gateway.${cluster}.0`, ...order, body: tombstone }),
      });
    }
  }
  return pool;
}

test(
  "whatever is lost, held, repeated, forged, deleted or rolled back: orders never fall, and in the end the maps are the same",
  async () => {
    const pool = await recordPool();
    await fc.assert(
      fc.asyncProperty(steps, async (script) => {
        const { hub, intake, map } = await joined();
        const old = hub.copy();
        const orders = new Map<string, bigint>();
        const held: Message[] = [];
        let nowMs = 10_000;

        for (const step of script) await perform(step);
        for (const message of held) intake.message(message, nowMs);
        await settle();
        expect(holding(map)).toEqual(holding(hub.map));
        expect(map.digest()).toEqual(hub.map.digest());
        expect(intake.state.snapshot.kind).toBe("idle");

        async function perform(step: Step): Promise<void> {
          const { key, bytes } = pool["record" in step ? step.record % pool.length : 0] as (typeof pool)[number];
          switch (step.kind) {
            case "write": {
              const message = hub.write(key, bytes);
              if (message === undefined || step.fate === "lose") break;
              if (step.fate === "hold") held.push(message);
              else intake.message(message, nowMs);
              if (step.fate === "twice") intake.message(message, nowMs);
              break;
            }
            case "release":
              for (const message of held.splice(0).reverse()) intake.message(message, nowMs);
              break;
            case "forge": {
              const forged = await by.sign(forger, { key, incarnation: 99n, generation: 99n });
              intake.message({ key, bytes: forged, sequence: hub.position.sequence + 1n }, nowMs);
              break;
            }
            case "delete":
              intake.message(hub.delete(`gateway.c${step.cluster}.0`), nowMs);
              break;
            case "head":
              intake.head(await hub.head(nowMs), nowMs);
              break;
            case "pass":
              nowMs += step.ms;
              intake.timer(nowMs);
              break;
            case "answer":
              if (intake.state.snapshot.kind !== "asked") break;
              if (step.lost) intake.snapshotFailed(nowMs);
              else intake.snapshot(hub.snapshot(), nowMs);
              break;
            case "roll-back":
              hub.rollBack(old, step);
              break;
            default:
              step satisfies never;
          }
          expectNoOrderFell();
        }

        /** Heads every 2 s, snapshots answered, lost records handed back: as long as a real outage may take to heal. */
        async function settle(): Promise<void> {
          for (let round = 0; round < 120 && !isSettled(); round++) {
            nowMs += 2_000;
            intake.head(await hub.head(nowMs), nowMs);
            intake.timer(nowMs);
            if (intake.state.snapshot.kind === "asked") intake.snapshot(hub.snapshot(), nowMs);
            for (const { key, bytes } of [...intake.missing.values()]) {
              const message = hub.write(key, bytes);
              if (message !== undefined) intake.message(message, nowMs);
            }
            expectNoOrderFell();
          }
        }

        function isSettled(): boolean {
          return intake.state.snapshot.kind === "idle" && holding(map).join() === holding(hub.map).join();
        }

        function expectNoOrderFell(): void {
          for (const { key, order } of map.records()) {
            const order64 = order.incarnation * 1_000n + order.generation;
            expect(order64).toBeGreaterThanOrEqual(orders.get(key) ?? 0n);
            orders.set(key, order64);
          }
        }
      }),
      { numRuns: 200 },
    );
  },
  SLOW_MACHINE_MS,
);

/** What counts of a map: live admissions, statements of admitted gateways, and the tombstones. */
function holding(map: RecordMap): string[] {
  const tombstones = [...map.records()].filter(({ payload }) => payload.body.case === "tombstone");
  return [
    ...[...map.admissions.keys()].map((id) => `cluster.${id} ${formatOrder(getOrder(map, `cluster.${id}`))}`),
    ...[...map.statements].map(([key, { order }]) => `${key} ${formatOrder(order)}`),
    ...tombstones.map(({ key, order }) => `${key} ${formatOrder(order)} ended`),
  ].sort();
}

function getOrder(map: RecordMap, key: string): Order {
  const record = map.get(key);
  if (record === undefined) throw new Error(`no record ${key}`);
  return record.order;
}
