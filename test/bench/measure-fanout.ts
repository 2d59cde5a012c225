/** @module One crowd of agents and one of bare subscribers: the same change to each in turn, and when each was done. */
import type { AgentsProgram } from "./agents.process.ts";
import type { BareProgram } from "./bare.process.ts";
import { startBareServer } from "./bare-server.ts";
import { type ByteRelay, startByteRelay } from "./byte-relay.ts";
import type { Child } from "./child.ts";
import { usersOf } from "./crowd.ts";
import { followHeads, type Heads } from "./heads.ts";
import { frameOf, type Joined, joinAll } from "./join-all.ts";
import { madeUpSites } from "./made-up-mesh.ts";
import { type ControlWriter, createControlWriter, createMover, type Mover } from "./mover.ts";
import { nowMs } from "./now.ts";
import { rssBytesOf } from "./process-usage.ts";
import { type Measurement, timed } from "./round.ts";
import { openStage } from "./stage.ts";
import { startAgents, startBare } from "./start-crowd.ts";
import { median, quantile } from "./statistics.ts";

export interface FanoutOptions {
  readonly size: number;
  /** Of the map; more than the crowd. */
  readonly sites: number;
  readonly pairs: number;
  readonly processes: number;
  /** Where profiles go, if any are wanted. */
  readonly profile: string;
  readonly report: (line: string) => void;
}

export interface FanoutMeasured {
  readonly size: number;
  readonly pairs: readonly Pair[];
  /** Records of the map, and the bytes of their keys and themselves. */
  readonly map: Pick<Joined, "records" | "bytes">;
  readonly startSeconds: number;
}

/** One change to the agents, one write to the bare subscribers, and one more that they do not verify. */
export interface Pair {
  readonly agents: Measurement;
  readonly bare: Measurement;
  readonly unverified: Measurement;
  /** To one agent, from the write until all were done. */
  readonly bytes: number;
  /** To all kernels. */
  readonly writes: number;
}

/** Agents share the cores here: what each does at rest is kept out of the way of what is measured. */
const AT_REST_MS = 3_600_000;
/** The first change opens each agent's journal and finds no code compiled. */
const WARM_UP = 2;

export async function measureFanout(options: FanoutOptions): Promise<FanoutMeasured> {
  const { size, processes, report, profile } = options;
  await using cleanup = new AsyncDisposableStack();
  const stage = cleanup.use(await openStage());
  const sites = madeUpSites(options.sites);
  const [members, mover] = [sites.slice(0, size), sites[size]];
  if (mover === undefined) throw new Error("the map needs a site without an agent: the one that moves");
  const joined = await joinAll(stage, sites);
  report(`${size} agents: map of ${joined.records} records, ${Math.round(joined.bytes / 1_000)} kB; starting`);

  const startedMs = nowMs();
  const relay = cleanup.use(await startByteRelay(stage.nats.url));
  // The first agent's connection passes the relay.
  const users = usersOf(stage, members, stage.nats.url).map((user, n) =>
    n === 0 ? { ...user, url: relay.url } : user,
  );
  const agents = await startAgents(
    cleanup,
    { users, processes },
    { ...frameOf(stage, joined), lookEveryMs: AT_REST_MS, statusEveryMs: AT_REST_MS, trustStored: true },
  );
  const startSeconds = (nowMs() - startedMs) / 1_000;
  const rssBytes = await sum(agents, ({ pid }) => rssBytesOf(pid));
  report(`${size} agents: up after ${startSeconds.toFixed(0)} s, ${(rssBytes / size / 1e6).toFixed(1)} MB each`);
  const bareServer = cleanup.use(await startBareServer(stage));
  const bare = await startBare(cleanup, { users: usersOf(stage, members, bareServer.url), processes });

  const [moverUser] = usersOf(stage, [mover], stage.nats.url);
  if (moverUser === undefined) throw new Error("no user for the site that moves");
  const heads = cleanup.use(await followHeads(moverUser));
  const change = await createMover(stage, joined, mover);
  const control = createControlWriter(bareServer.store, await change.next());
  const play = { agents, bare, relay, heads, change, control };
  for (let n = 0; n < WARM_UP; n++) await measurePair(play);
  if (profile !== "") await Promise.all(agents.map((child) => child.ask("startProfile")));
  const pairs: Pair[] = [];
  while (pairs.length < options.pairs) {
    const pair = await measurePair(play);
    pairs.push(pair);
    report(`  pair ${pairs.length}: agents ${describe(pair.agents)}; bare ${describe(pair.bare)}`);
  }
  if (profile !== "") {
    await Promise.all(agents.map((child, n) => child.ask("endProfile", `${profile}-${size}-${n}.cpuprofile`)));
  }
  return { size, pairs, map: joined, startSeconds };
}

interface Play {
  readonly agents: readonly Child<AgentsProgram>[];
  readonly bare: readonly Child<BareProgram>[];
  readonly relay: ByteRelay;
  readonly heads: Heads;
  readonly change: Mover;
  readonly control: ControlWriter;
}

async function measurePair({ agents, bare, relay, heads, change, control }: Play): Promise<Pair> {
  const statement = await change.next();
  await heads.quiet(1);
  await Promise.all(agents.map((child) => child.ask("arm")));
  const [bytesBefore, writesBefore] = [relay.down, await sum(agents, (child) => child.ask("writes"))];
  const ours = await timed(
    () => agents.map((child) => child.ask("finish")),
    () => change.write(statement),
  );
  const bytes = relay.down - bytesBefore;

  const bareRound = async (publicKey: Uint8Array | undefined): Promise<Measurement> => {
    await Promise.all(bare.map((child) => child.ask("arm", publicKey)));
    return timed(() => bare.map((child) => child.ask("finish")), control.write);
  };
  await heads.quiet(2); // acknowledgements come until a second later; the control has the machine for itself
  const theirs = await bareRound(control.publicKey);
  await heads.quiet(1);
  const unverified = await bareRound(undefined);
  const writes = (await sum(agents, (child) => child.ask("writes"))) - writesBefore;
  return { agents: ours, bare: theirs, unverified, bytes, writes };
}

async function sum<T>(items: readonly T[], value: (item: T) => Promise<number>): Promise<number> {
  return (await Promise.all(items.map(value))).reduce((total, each) => total + each, 0);
}

function describe({ times, cpuMs }: Measurement): string {
  const [p99, p50] = [quantile(times, 0.99), median(times)];
  return `p99 ${p99.toFixed(1)} ms, median ${p50.toFixed(1)} ms, CPU ${cpuMs.toFixed(3)} ms each`;
}
