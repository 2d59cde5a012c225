/** @module Resident memory of an agent at 100 and 1000 peers and of the hub at 100 and 1000 agents. */

import { fromBinary } from "@bufbuild/protobuf";
import { upSubject } from "@spanwire/core/subjects";
import { GatewayStatusSchema } from "@spanwire/proto/agent";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import type { Bench, Row } from "./bench.ts";
import { startChild } from "./child.ts";
import { connectAsHub } from "./connect-as-hub.ts";
import { usersOf } from "./crowd.ts";
import { frameOf, joinAll } from "./join-all.ts";
import { madeUpSites } from "./made-up-mesh.ts";
import type { MembersProgram } from "./members.process.ts";
import type { OneAgentProgram } from "./one-agent.process.ts";
import { rssBytesOf } from "./process-usage.ts";
import { openStage, type Stage } from "./stage.ts";
import { median } from "./statistics.ts";

export const memory: Bench = {
  name: "memory",
  summary: "resident memory of an agent by its peers, and of the hub by its agents",
  options: {
    sizes: { type: "string", default: "100,1000" },
    pairs: { type: "string", default: "5" },
    /** From the start of everything until memory is read. */
    settle_seconds: { type: "string", default: "15" },
  },
  async run(options, report) {
    const sizes = (options["sizes"] ?? "").split(",").map(Number);
    const settleMs = Number(options["settle_seconds"]) * 1_000;
    const pairs: Pair[] = [];
    while (pairs.length < Number(options["pairs"])) {
      const pair = await measure(sizes, settleMs);
      pairs.push(pair);
      report(`  ${pairs.length}: ${describe(pair)}`);
    }
    return rowsOf(sizes, pairs);
  },
};

const BASE_LIMIT = 1.3;
const PEER_LIMIT_KB = 10;
const AGENT_LIMIT_KB = 40;
const SAMPLES = 5;
const SAMPLE_EVERY_MS = 1_000;

interface Pair {
  /** The agent's imports, idle. */
  readonly idleBytes: number;
  /** By size. */
  readonly at: ReadonlyMap<number, { readonly agentBytes: number; readonly hubBytes: number }>;
}

/** All sizes and the control at the same time, each in processes of its own. */
async function measure(sizes: readonly number[], settleMs: number): Promise<Pair> {
  await using cleanup = new AsyncDisposableStack();
  const idle = cleanup.use(startChild<OneAgentProgram>("one-agent.process.ts"));
  const started = new Map(
    await Promise.all(sizes.map(async (size) => [size, await startMesh(cleanup, size)] as const)),
  );
  await systemClock.sleep(settleMs);
  const pids = [idle.pid, ...[...started.values()].flatMap(({ agent, hub }) => [agent, hub])];
  const bytes = await sampleRss(pids);
  const bytesOf = (pid: number) => bytes.get(pid) ?? Number.NaN;
  const at = [...started].map(
    ([size, { agent, hub }]) => [size, { agentBytes: bytesOf(agent), hubBytes: bytesOf(hub) }] as const,
  );
  return { idleBytes: bytesOf(idle.pid), at: new Map(at) };
}

/** A hub of `size` + 1 sites: one real agent with `size` peers, and for the others somebody who reports as it does. */
async function startMesh(cleanup: AsyncDisposableStack, size: number): Promise<{ agent: number; hub: number }> {
  const stage = cleanup.use(await openStage());
  const sites = madeUpSites(size + 1);
  const joined = await joinAll(stage, sites);
  const [user, ...others] = usersOf(stage, sites, stage.nats.url);
  if (user === undefined) throw new Error("no sites");
  const heard = statusOf(stage, user.site.clusterId);
  const agent = cleanup.use(startChild<OneAgentProgram>("one-agent.process.ts"));
  await agent.ask("start", user, frameOf(stage, joined));
  const status = await heard;
  const members = cleanup.use(startChild<MembersProgram>("members.process.ts"));
  const { meshId } = stage.authority.mesh;
  await members.ask("connect", { users: others, words: { meshId, position: joined.mapState, status } });
  return { agent: agent.pid, hub: stage.hub.process.pid };
}

/** The agent's first status that tells of its links, as the hub hears it. */
async function statusOf({ nats: { url }, authority, operator }: Stage, clusterId: string): Promise<Uint8Array> {
  const stop = new AbortController();
  const caPem = authority.ca.certificatePem;
  const connection = await connectAsHub({ url, caPem, operator, role: "answer", signal: stop.signal });
  try {
    for await (const { data } of connection.subscribe(upSubject({ clusterId, ordinal: 0 }, "status"))) {
      if (fromBinary(GatewayStatusSchema, data).links.length > 0) return Uint8Array.from(data);
    }
    throw new Error(`${clusterId}: no status that tells of its links`);
  } finally {
    stop.abort();
  }
}

async function sampleRss(pids: readonly number[]): Promise<ReadonlyMap<number, number>> {
  const samples = pids.map((): number[] => []);
  for (let n = 0; n < SAMPLES; n++) {
    for (const [index, pid] of pids.entries()) samples[index]?.push(await rssBytesOf(pid));
    await systemClock.sleep(SAMPLE_EVERY_MS);
  }
  return new Map(pids.map((pid, index) => [pid, median(samples[index] ?? [])]));
}

function rowsOf(sizes: readonly number[], pairs: readonly Pair[]): Row[] {
  const idle = median(pairs.map(({ idleBytes }) => idleBytes));
  const agent = (size: number) => median(pairs.map(({ at }) => at.get(size)?.agentBytes ?? Number.NaN));
  const hub = (size: number) => median(pairs.map(({ at }) => at.get(size)?.hubBytes ?? Number.NaN));
  const rows = sizes.flatMap((size): Row[] => [
    { name: `agent at ${size} peers`, value: agent(size) / 1e6, unit: "MB", control: idle / 1e6, target: undefined },
    {
      name: `agent at ${size} peers, of the control`,
      value: agent(size) / idle,
      unit: "x",
      control: undefined,
      target: { kind: "at-most", limit: BASE_LIMIT },
    },
    { name: `hub at ${size} agents`, value: hub(size) / 1e6, unit: "MB", control: undefined, target: undefined },
  ]);
  const [small, large] = [sizes[0], sizes.at(-1)];
  if (small === undefined || large === undefined || small === large) return rows;
  const slopeKb = (of: (size: number) => number) => (of(large) - of(small)) / (large - small) / 1e3;
  return [
    ...rows,
    {
      name: "agent, for each further peer",
      value: slopeKb(agent),
      unit: "kB",
      control: undefined,
      target: { kind: "at-most", limit: PEER_LIMIT_KB },
    },
    {
      name: "hub, for each further agent",
      value: slopeKb(hub),
      unit: "kB",
      control: undefined,
      target: { kind: "at-most", limit: AGENT_LIMIT_KB },
    },
  ];
}

function describe({ idleBytes, at }: Pair): string {
  const sizes = [...at].map(
    ([size, { agentBytes, hubBytes }]) =>
      `at ${size}: agent ${(agentBytes / 1e6).toFixed(0)} MB, hub ${(hubBytes / 1e6).toFixed(0)} MB`,
  );
  return [`idle ${(idleBytes / 1e6).toFixed(0)} MB`, ...sizes].join("; ");
}
