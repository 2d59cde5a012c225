/**
 * The scheme beyond what was tried before: three ordinals, three clusters of which one dials from behind NAT, IPv6
 * outside, delay and loss on the underlay. What was seen: decision record 0002 of services/core/desired.
 */
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";

import type { Account } from "../meter/meter.ts";
import { repeats } from "./config.ts";
import { say, startTrial, type Trial } from "./scheme-trial.ts";

const ROTATIONS = repeats(2);
const IMPAIRED_ROTATIONS = repeats(1);
const DRAINS = repeats(2);
const CLEAN = { lost: 0, duplicated: 0 };
const PORTS = ["eu0", "eu1", "eu2", "us0", "us1", "us2", "plantr"];

let trial: Trial;

beforeAll(async () => {
  trial = await startTrial({
    sites: [
      { name: "eu", gateways: 3 },
      { name: "us", gateways: 3 },
      { name: "plant", gateways: 1, behindNat: true },
    ],
    maxGateways: 3,
    underlay: "ipv6",
    lanFlows: { count: 6, packetsPerSecond: 12 },
    stableFlows: { count: 1, packetsPerSecond: 2 },
  });
});
afterAll(() => trial?.[Symbol.asyncDispose]());

test("at rest nothing is lost, and every tunnel of the plane in use carries packets both ways", async () => {
  expect(await trial.measure("control", () => delay(10_000))).toMatchObject(CLEAN);
  // eu and us: three peers of each other and one of plant; plant: six.
  const peers = await trial.peersInUse();
  expect(peers).toHaveLength(6 * 4 + 6);
  for (const { of, lane, rxBytes, txBytes } of peers) {
    expect(Math.min(rxBytes, txBytes), `${of} ${lane}`).toBeGreaterThan(1000);
  }
});

test("endpoints are IPv6, except towards and from the site behind NAT", async () => {
  const endpoints = (await trial.peersInUse()).filter(({ of }) => of === "eu2").map(({ endpoint = "" }) => endpoint);
  expect(endpoints.filter((endpoint) => endpoint.startsWith("[2001:db8::"))).toHaveLength(3);
  const router = trial.topology.machine("plantr").underlay.ipv4;
  expect(endpoints.filter((endpoint) => endpoint.startsWith(`${router}:`))).toHaveLength(1);
});

test(`${ROTATIONS} rotations lose nothing`, async () => {
  const account = await trial.measure(`${ROTATIONS} rotations`, rotateTimes(ROTATIONS));
  expect(account).toMatchObject(CLEAN);
});

test(`groups of three go to two, to one and back ${DRAINS} times without loss`, async () => {
  const us = trial.cluster("us");
  const account = await trial.measure(`${DRAINS} drains of two of three`, async () => {
    for (let round = 0; round < DRAINS; round++) {
      for (const members of [[0, 2], [2], [1, 2], [0, 1, 2]]) {
        await trial.scheme.setMembers(us, members);
        await delay(500);
      }
    }
  });
  expect(account).toMatchObject(CLEAN);
});

test("with 40 ms of delay rotations lose nothing", async () => {
  await impairAll({ delayMs: 20 });
  expect(await trial.measure("control with 40 ms", () => delay(5000))).toMatchObject(CLEAN);
  expect(
    await trial.measure(`${IMPAIRED_ROTATIONS} rotations with 40 ms`, rotateTimes(IMPAIRED_ROTATIONS)),
  ).toMatchObject(CLEAN);
});

test("with 1 % of loss rotations lose no more than the underlay does", async () => {
  await impairAll({ delayMs: 20, lossPercent: 1 });
  const control = await trial.measure("control with 1 %", () => delay(10_000));
  const rotating = await trial.measure(`${IMPAIRED_ROTATIONS} rotations with 1 %`, rotateTimes(IMPAIRED_ROTATIONS));
  await impairAll({});
  const excess = (rotating.lost / rotating.sent - control.lost / control.sent) / standardError(control, rotating);
  say(`loss while rotating exceeds the control's by ${excess.toFixed(1)} standard errors`);
  expect(control.lost).toBeGreaterThan(0);
  expect(excess).toBeLessThan(4);
});

function rotateTimes(count: number): () => Promise<void> {
  return async () => {
    for (let rotation = 0; rotation < count; rotation++) await trial.rotate();
  };
}

async function impairAll(impairment: Parameters<Trial["topology"]["impair"]>[1]): Promise<void> {
  await Promise.all(PORTS.map((port) => trial.topology.impair(port, impairment)));
}

/** Of the difference of two shares, if both came from one. */
function standardError(a: Account, b: Account): number {
  const share = (a.lost + b.lost) / (a.sent + b.sent);
  return Math.sqrt(share * (1 - share) * (1 / a.sent + 1 / b.sent));
}
