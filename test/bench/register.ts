/** @module Registrations per second, each over a TLS connection of its own, beside bare gRPC that writes and signs as often. */
import { join } from "node:path";
import { formatJoinToken } from "@spanwire/core/identity/join-token";
import { createToken } from "@spanwire/hub/registration/tokens";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { startBareServer } from "./bare-server.ts";
import type { Bench, Row } from "./bench.ts";
import { startChild } from "./child.ts";
import type { EchoProgram } from "./echo.process.ts";
import type { JoinersProgram, Joining, Joins } from "./joiners.process.ts";
import { lineageOf } from "./lineage-of.ts";
import { madeUpSites, type Site } from "./made-up-mesh.ts";
import { cpuMsOf } from "./process-usage.ts";
import { openStage, type Stage } from "./stage.ts";
import { median, quantile } from "./statistics.ts";

export const register: Bench = {
  name: "register",
  summary: "registrations per second, each over a TLS connection of its own",
  options: {
    /** Of each round. */
    registrations: { type: "string", default: "60" },
    pairs: { type: "string", default: "8" },
    /** Under way at a time. */
    parallel: { type: "string", default: "8" },
    /** A file for the hub's CPU profile of all pairs. */
    profile: { type: "string", default: "" },
  },
  async run(options, report) {
    const { registrations, pairs, parallel, profile = "" } = options;
    const numbers = { count: Number(registrations), pairs: Number(pairs), atOnce: Number(parallel) };
    return rowsOf(await measure({ ...numbers, profile, report }));
  },
};

const RATIO_LIMIT = 0.7;
/** The hub takes so many calls from one address in the long run. */
const CALLS_PER_SECOND = 100;
const CALLS_PER_JOINING = 2;
const TOKEN_LIFETIME_MS = 3_600_000;
/** The first pair finds no code compiled. */
const WARM_UP = 1;

interface MeasureOptions {
  readonly count: number;
  readonly pairs: number;
  readonly atOnce: number;
  readonly profile: string;
  readonly report: (line: string) => void;
}

interface Pair {
  readonly registered: Round;
  readonly echoed: Round;
  /** With the first contact of an agent that knows only its token. */
  readonly joined: Round;
}

interface Round extends Joins {
  /** Of server, NATS and clients, for each. */
  readonly cpuMs: number;
}

async function measure({ count, pairs, atOnce, profile, report }: MeasureOptions): Promise<readonly Pair[]> {
  await using stage = await openStage();
  await using bareServer = await startBareServer(stage);
  await using echo = startChild<EchoProgram>("echo.process.ts");
  const secretsDirectory = join(stage.directory, "hub/secrets");
  const address = await echo.ask("start", { secretsDirectory, natsUrl: bareServer.url });
  await using joiners = startChild<JoinersProgram>("joiners.process.ts");
  const caPem = stage.authority.ca.certificatePem;
  const sites = madeUpSites((WARM_UP + pairs) * count * 2);
  const joinings = await giveTokens(stage, sites);
  const next = () => joinings.splice(0, count);

  const measured: Pair[] = [];
  for (let n = 1 - WARM_UP; n <= pairs; n++) {
    if (n === 1 && profile !== "") await stage.hub.process.ask("startProfile");
    const rested = systemClock.sleep((2 * count * CALLS_PER_JOINING * 1_000) / CALLS_PER_SECOND);
    const ours = [stage.hub.process.pid, stage.nats.pid, joiners.pid];
    const registered = await metered(ours, () => joiners.ask("registerAll", next(), { caPem, atOnce }));
    const theirs = [echo.pid, bareServer.pid, joiners.pid];
    const echoed = await metered(theirs, () => joiners.ask("echoAll", count, { address, caPem, atOnce }));
    const joined = await metered(ours, () => joiners.ask("joinAll", next(), { atOnce }));
    await rested;
    if (n < 1) continue;
    measured.push({ registered, echoed, joined });
    const [a, b, c] = [registered, echoed, joined].map((joins) => perSecond(joins).toFixed(0));
    report(`  pair ${n}: ${a} registrations/s, control ${b}/s; ${c} whole joins/s`);
  }
  if (profile !== "") await stage.hub.process.ask("endProfile", profile);
  return measured;
}

async function metered(pids: readonly number[], act: () => Promise<Joins>): Promise<Round> {
  const used = async () => (await Promise.all(pids.map(cpuMsOf))).reduce((sum, ms) => sum + ms, 0);
  const before = await used();
  const joins = await act();
  return { ...joins, cpuMs: ((await used()) - before) / joins.eachMs.length };
}

async function giveTokens(stage: Stage, sites: readonly Site[]): Promise<Joining[]> {
  const { store, authority, hub } = stage;
  const now = { nowMs: systemClock.now(), lineage: await lineageOf(store) };
  const frame = {
    hubAddress: hub.registrationAddress,
    caSpkiSha256: authority.ca.spkiSha256,
    authoritySha256: sha256(authority.root.publicKey),
  };
  const joinings: Joining[] = [];
  for (const site of sites) {
    const request = { clusterId: site.clusterId, ordinal: undefined, ttlMs: TOKEN_LIFETIME_MS };
    const { token } = await createToken(store.registry, request, { ...now, frame, randomBytes });
    joinings.push({ site, token: new TextDecoder().decode(formatJoinToken(token).reveal()) });
  }
  return joinings;
}

function rowsOf(pairs: readonly Pair[]): Row[] {
  const rates = (which: (pair: Pair) => Round) => median(pairs.map((pair) => perSecond(which(pair))));
  const p99 = (which: (pair: Pair) => Round) =>
    quantile(
      pairs.flatMap((pair) => which(pair).eachMs),
      0.99,
    );
  const cpu = (which: (pair: Pair) => Round) => median(pairs.map((pair) => which(pair).cpuMs));
  const ratios = pairs.map((pair) => perSecond(registered(pair)) / perSecond(echoed(pair)));
  const info = { target: undefined };
  return [
    { name: "registrations", value: rates(registered), unit: "/s", control: rates(echoed), ...info },
    {
      name: "registrations, of the control, median of pairs",
      value: median(ratios),
      unit: "x",
      control: undefined,
      target: { kind: "at-least", limit: RATIO_LIMIT },
    },
    { name: "p99 of a registration", value: p99(registered), unit: "ms", control: p99(echoed), ...info },
    { name: "CPU of a registration, all sides", value: cpu(registered), unit: "ms", control: cpu(echoed), ...info },
    { name: "whole joins, first contact included", value: rates(joined), unit: "/s", control: undefined, ...info },
    { name: "p99 of a whole join", value: p99(joined), unit: "ms", control: undefined, ...info },
  ];
}

function registered(pair: Pair): Round {
  return pair.registered;
}

function echoed(pair: Pair): Round {
  return pair.echoed;
}

function joined(pair: Pair): Round {
  return pair.joined;
}

function perSecond({ eachMs, allMs }: Joins): number {
  return (eachMs.length * 1_000) / allMs;
}
