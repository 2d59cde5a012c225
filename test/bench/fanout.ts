/** @module How soon one changed endpoint is in every kernel, beside bare subscribers that verify one signature each. */
import type { Bench, Row } from "./bench.ts";
import { type FanoutMeasured, measureFanout, type Pair } from "./measure-fanout.ts";
import type { Measurement } from "./round.ts";
import { median, quantile } from "./statistics.ts";

export const fanout: Bench = {
  name: "fanout",
  summary: "one endpoint change at the hub until every agent has it in its kernel",
  options: {
    agents: { type: "string", default: "100,1000" },
    pairs: { type: "string", default: "10" },
    /** Agents share the machine: one process for each core. */
    processes: { type: "string", default: "2" },
    /** Of the map, where that is to be larger than the crowd: for profiles. */
    sites: { type: "string", default: "0" },
    /** Where a CPU profile of each process of agents goes: this, the number of agents and of the process. */
    profile: { type: "string", default: "" },
  },
  async run(options, report) {
    const { profile = "" } = options;
    const [pairs, processes, sites] = [options["pairs"], options["processes"], options["sites"]].map(Number);
    const measured: FanoutMeasured[] = [];
    for (const size of (options["agents"] ?? "").split(",").map(Number)) {
      const atLeast = Math.max(sites ?? 0, size + 1);
      measured.push(
        await measureFanout({ size, sites: atLeast, pairs: pairs ?? 1, processes: processes ?? 1, profile, report }),
      );
    }
    return [...measured.flatMap(rowsOf), ...growth(measured)];
  },
};

const RATIO_LIMIT = 2;
const BYTES_LIMIT = 800;
/** A tenfold crowd may take eleven times as long. */
const GROWTH_LIMIT = 1.1;
/** Below, a crowd is not what the limit was set for. */
const LARGE = 1_000;

function rowsOf({ size, pairs, map, startSeconds }: FanoutMeasured): Row[] {
  const [agents, bare, unverified] = [pairs.map(ours), pairs.map(theirs), pairs.map((pair) => pair.unverified)];
  const at = `at ${size} agents`;
  const info = { control: undefined, target: undefined };
  const ratioTarget = size >= LARGE ? ({ kind: "at-most", limit: RATIO_LIMIT } as const) : undefined;
  return [
    { name: `p99 ${at}`, value: p99(agents), unit: "ms", control: p99(bare), target: undefined },
    { name: `p99 ${at}, of the control`, value: p99(agents) / p99(bare), unit: "x", ...info, target: ratioTarget },
    { name: `p99 of each pair ${at}, of its control, median`, value: median(pairs.map(ratio)), unit: "x", ...info },
    { name: `median ${at}`, value: p50(agents), unit: "ms", control: p50(bare), target: undefined },
    { name: `CPU of a change and agent ${at}`, value: cpu(agents), unit: "ms", control: cpu(bare), target: undefined },
    { name: `p99 of bare subscribers that verify nothing ${at}`, value: p99(unverified), unit: "ms", ...info },
    {
      name: `bytes of a change and agent ${at}, TLS included`,
      value: median(pairs.map(({ bytes }) => bytes)),
      unit: "B",
      control: undefined,
      target: { kind: "at-most", limit: BYTES_LIMIT },
    },
    {
      name: `kernel writes of a change and agent ${at}`,
      value: pairs.reduce((sum, { writes }) => sum + writes, 0) / (pairs.length * size),
      unit: "writes",
      control: undefined,
      target: { kind: "at-most", limit: 1 },
    },
    { name: `map ${at}`, value: map.records, unit: "records", ...info },
    { name: `map ${at}, keys and records`, value: map.bytes, unit: "B", ...info },
    { name: `start of all ${at}`, value: startSeconds, unit: "s", ...info },
  ];
}

/** Between the smallest crowd and the largest. */
function growth(measured: readonly FanoutMeasured[]): Row[] {
  const [small, ...others] = measured.toSorted((a, b) => a.size - b.size);
  const large = others.at(-1);
  if (small === undefined || large === undefined) return [];
  return [
    {
      name: `p99 at ${large.size} of p99 at ${small.size}`,
      value: p99(large.pairs.map(ours)) / p99(small.pairs.map(ours)),
      unit: "x",
      control: p99(large.pairs.map(theirs)) / p99(small.pairs.map(theirs)),
      target: { kind: "at-most", limit: (GROWTH_LIMIT * large.size) / small.size },
    },
  ];
}

function ours({ agents }: Pair): Measurement {
  return agents;
}

function theirs({ bare }: Pair): Measurement {
  return bare;
}

function ratio({ agents, bare }: Pair): number {
  return p99([agents]) / p99([bare]);
}

/** Over all agents of all rounds. */
function p99(rounds: readonly Measurement[]): number {
  return quantile(
    rounds.flatMap(({ times }) => times),
    0.99,
  );
}

function p50(rounds: readonly Measurement[]): number {
  return median(rounds.flatMap(({ times }) => times));
}

function cpu(rounds: readonly Measurement[]): number {
  return median(rounds.map(({ cpuMs }) => cpuMs));
}
