/** @module What a mesh costs in which nothing happens: kernel writes, and the CPU time of the hub. */
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import type { AgentsProgram } from "./agents.process.ts";
import { startBareServer } from "./bare-server.ts";
import type { Bench, Row } from "./bench.ts";
import type { Child } from "./child.ts";
import { usersOf } from "./crowd.ts";
import { frameOf, joinAll } from "./join-all.ts";
import { madeUpSites } from "./made-up-mesh.ts";
import { nowMs } from "./now.ts";
import { cpuMsOf } from "./process-usage.ts";
import { openStage } from "./stage.ts";
import { startAgents, startBare } from "./start-crowd.ts";
import { median } from "./statistics.ts";

export const idle: Bench = {
  name: "idle",
  summary: "kernel writes and the hub's CPU time in a mesh where nothing happens",
  options: {
    agents: { type: "string", default: "1000" },
    /** Spanwire and its control at the same time, each with a server of its own. */
    pairs: { type: "string", default: "5" },
    /** Of a pair: two status intervals. */
    seconds: { type: "string", default: "60" },
    /** Until first reports and heads are past. */
    settle_seconds: { type: "string", default: "60" },
    /** Agents share the machine: one process for each core. */
    processes: { type: "string", default: "2" },
    /** A file for the hub's CPU profile of all pairs. */
    profile: { type: "string", default: "" },
  },
  async run(options, report) {
    const { profile = "" } = options;
    const [size = 0, pairs = 0, seconds = 0, settleSeconds = 0, processes = 0] = [
      ...[options["agents"], options["pairs"], options["seconds"], options["settle_seconds"], options["processes"]],
    ].map(Number);
    const times = { ms: seconds * 1_000, settleMs: settleSeconds * 1_000 };
    return rowsOf(size, await measure({ size, pairs, ...times, processes, profile, report }));
  },
};

const CPU_LIMIT_PERCENT = 1;
/** A thousand agents here share two cores, and a look at a thousand peers takes each some milliseconds. */
const LOOK_EVERY_MS = 60_000;

interface MeasureOptions {
  readonly size: number;
  readonly pairs: number;
  readonly ms: number;
  readonly settleMs: number;
  readonly processes: number;
  readonly profile: string;
  readonly report: (line: string) => void;
}

/** CPU time as percent of a core. */
interface Pair {
  readonly hub: number;
  readonly nats: number;
  /** Of the server that has the same connections and nothing else. */
  readonly bareNats: number;
  /** Of all agents. */
  readonly agents: number;
  readonly kernelWrites: number;
  /** Of how many kernels' looks. */
  readonly looks: number;
}

async function measure({
  size,
  pairs,
  ms,
  settleMs,
  processes,
  profile,
  report,
}: MeasureOptions): Promise<readonly Pair[]> {
  await using cleanup = new AsyncDisposableStack();
  const stage = cleanup.use(await openStage());
  const sites = madeUpSites(size);
  const joined = await joinAll(stage, sites);
  report(`${size} agents: map of ${joined.records} records; starting`);
  const users = usersOf(stage, sites, stage.nats.url);
  const options = { ...frameOf(stage, joined), lookEveryMs: LOOK_EVERY_MS, isHealthy: true, trustStored: true };
  const agents = await startAgents(cleanup, { users, processes }, options);
  const bareServer = cleanup.use(await startBareServer(stage));
  await startBare(cleanup, { users: usersOf(stage, sites, bareServer.url), processes });
  report("all connected; waiting for rest");
  await systemClock.sleep(settleMs);

  if (profile !== "") await stage.hub.process.ask("startProfile");
  const pids = { hub: stage.hub.process.pid, nats: stage.nats.pid, bareNats: bareServer.pid };
  const measured: Pair[] = [];
  while (measured.length < pairs) {
    const pair = await measurePair(pids, agents, ms);
    measured.push(pair);
    report(`  ${measured.length}: ${describe(pair)}`);
  }
  if (profile !== "") await stage.hub.process.ask("endProfile", profile);
  return measured;
}

async function measurePair(
  pids: { readonly hub: number; readonly nats: number; readonly bareNats: number },
  agents: readonly Child<AgentsProgram>[],
  ms: number,
): Promise<Pair> {
  const look = async () => ({
    atMs: nowMs(),
    hub: await cpuMsOf(pids.hub),
    nats: await cpuMsOf(pids.nats),
    bareNats: await cpuMsOf(pids.bareNats),
    agents: sum(await Promise.all(agents.map(({ pid }) => cpuMsOf(pid)))),
    states: (await Promise.all(agents.map((child) => child.ask("states")))).flat(),
  });
  const before = await look();
  await systemClock.sleep(ms);
  const after = await look();
  const percent = (of: "hub" | "nats" | "bareNats" | "agents") =>
    ((after[of] - before[of]) / (after.atMs - before.atMs)) * 100;
  const count = (of: "kernelWrites" | "reconciles") =>
    sum(after.states.map((state) => state[of])) - sum(before.states.map((state) => state[of]));
  return {
    ...{ hub: percent("hub"), nats: percent("nats"), bareNats: percent("bareNats"), agents: percent("agents") },
    ...{ kernelWrites: count("kernelWrites"), looks: count("reconciles") },
  };
}

function rowsOf(size: number, pairs: readonly Pair[]): Row[] {
  const of = (value: (pair: Pair) => number) => median(pairs.map(value));
  const info = { control: undefined, target: undefined };
  return [
    {
      name: `kernel writes of ${size} agents, all pairs`,
      value: sum(pairs.map(({ kernelWrites }) => kernelWrites)),
      unit: "writes",
      control: undefined,
      target: { kind: "at-most", limit: 0 },
    },
    { name: "looks at a kernel meanwhile", value: sum(pairs.map(({ looks }) => looks)), unit: "looks", ...info },
    {
      name: "CPU of hub and NATS",
      value: of(({ hub, nats }) => hub + nats),
      unit: "% of a core",
      control: of(({ bareNats }) => bareNats),
      target: undefined,
    },
    {
      name: "CPU of hub and NATS beyond the control, median of pairs",
      value: of(({ hub, nats, bareNats }) => hub + nats - bareNats),
      unit: "% of a core",
      control: undefined,
      target: { kind: "at-most", limit: CPU_LIMIT_PERCENT },
    },
    { name: "CPU of the hub alone", value: of(({ hub }) => hub), unit: "% of a core", ...info },
    { name: "CPU of all agents", value: of(({ agents }) => agents), unit: "% of a core", ...info },
  ];
}

function describe({ hub, nats, bareNats, kernelWrites, looks }: Pair): string {
  const [a, b, c] = [hub, nats, bareNats].map((percent) => `${percent.toFixed(2)} %`);
  return `hub ${a}, its NATS ${b}, control ${c}; ${kernelWrites} kernel writes at ${looks} looks`;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}
