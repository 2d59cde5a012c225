/** @module From the order to revoke a cluster until the hub has every kernel's signed word that it is gone. */
import { type FleetClient, openFleet } from "@spanwire/cli/fleet";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { startBareServer } from "./bare-server.ts";
import type { Bench, Row } from "./bench.ts";
import { usersOf } from "./crowd.ts";
import { followHeads } from "./heads.ts";
import { frameOf, joinAll } from "./join-all.ts";
import { madeUpSites, type Site } from "./made-up-mesh.ts";
import { createControlWriter, createMover } from "./mover.ts";
import { nowMs } from "./now.ts";
import { timed } from "./round.ts";
import { openStage } from "./stage.ts";
import { startAgents, startBare } from "./start-crowd.ts";
import { median, quantile } from "./statistics.ts";

export const revoke: Bench = {
  name: "revoke",
  summary: "a cluster revoked, until the hub has every kernel's signed acknowledgement",
  options: {
    agents: { type: "string", default: "1000" },
    pairs: { type: "string", default: "10" },
    processes: { type: "string", default: "2" },
  },
  async run(options, report) {
    const [size, pairs, processes] = [options["agents"], options["pairs"], options["processes"]].map(Number);
    return rowsOf(await measure({ size: size ?? 1, pairs: pairs ?? 1, processes: processes ?? 1, report }));
  },
};

const LIMIT_MS = 1_000;
const RATIO_LIMIT = 3;
/** Below, a crowd is not what the limits were set for. */
const LARGE = 1_000;
const PATIENCE_MS = 120_000;
/** Agents share the cores here: what each does at rest is kept out of the way. They report, or they would count as silent. */
const AT_REST_MS = 3_600_000;
/** The first revocation finds no code compiled. */
const WARM_UP = 1;

interface MeasureOptions {
  readonly size: number;
  readonly pairs: number;
  readonly processes: number;
  readonly report: (line: string) => void;
}

interface Measured {
  readonly size: number;
  readonly pairs: readonly Pair[];
}

/** From the order, or the write, until the last of the crowd was done, in milliseconds. */
interface Pair {
  readonly acknowledged: number;
  /** Until the hub had tombstones stored and the user banned, and answered. */
  readonly answered: number;
  readonly bare: number;
}

async function measure({ size, pairs, processes, report }: MeasureOptions): Promise<Measured> {
  await using cleanup = new AsyncDisposableStack();
  const stage = cleanup.use(await openStage());
  const victims = WARM_UP + pairs;
  const sites = madeUpSites(size + victims + 1);
  const [members, watcher] = [sites.slice(0, size), sites.slice(-1)];
  const joined = await joinAll(stage, sites);
  report(`${size} agents: starting`);
  const users = usersOf(stage, members, stage.nats.url);
  const frame = { ...frameOf(stage, joined), lookEveryMs: AT_REST_MS, trustStored: true };
  await startAgents(cleanup, { users, processes }, frame);
  const bareServer = cleanup.use(await startBareServer(stage));
  const bare = await startBare(cleanup, { users: usersOf(stage, members, bareServer.url), processes });
  const [user] = usersOf(stage, watcher, stage.nats.url);
  const [site] = watcher;
  if (user === undefined || site === undefined) throw new Error("no site to watch from");
  const heads = cleanup.use(await followHeads(user));
  const control = createControlWriter(bareServer.store, await (await createMover(stage, joined, site)).next());
  const fleet = cleanup.use(openFleet(await readOperatorContext(stage.hub.contextFile)));
  const crowd = new Set(members.map(({ clusterId }) => clusterId));

  const measured: Pair[] = [];
  for (const victim of sites.slice(size, size + victims)) {
    await heads.quiet(1);
    const ours = await revokeOne(fleet.client, victim, crowd);
    await heads.quiet(1);
    await Promise.all(bare.map((child) => child.ask("arm", control.publicKey)));
    const { times } = await timed(() => bare.map((child) => child.ask("finish")), control.write);
    const pair = { ...ours, bare: Math.max(...times) };
    measured.push(pair);
    report(`  ${victim.clusterId}: ${describe(pair)}`);
  }
  return { size, pairs: measured.slice(WARM_UP) };
}

async function revokeOne(
  fleet: FleetClient,
  { clusterId }: Site,
  crowd: ReadonlySet<string>,
): Promise<Omit<Pair, "bare">> {
  const call = { timeoutMs: PATIENCE_MS };
  const startMs = nowMs();
  const { ended } = await fleet.revokeCluster({ id: clusterId, reason: "bench" }, call);
  const answered = nowMs() - startMs;
  for await (const { gateways } of fleet.watchAcknowledgements({ ended }, call)) {
    const acknowledged = gateways.filter((gateway) => gateway.absentAt !== undefined && crowd.has(gateway.clusterId));
    if (acknowledged.length === crowd.size) return { answered, acknowledged: nowMs() - startMs };
  }
  throw new Error(`revocation of ${clusterId}: not every agent has acknowledged`);
}

function rowsOf({ size, pairs }: Measured): Row[] {
  const at = `at ${size} agents`;
  const [acknowledged, bare] = [pairs.map((pair) => pair.acknowledged), pairs.map((pair) => pair.bare)];
  const p99 = quantile(acknowledged, 0.99);
  const ratio = p99 / quantile(bare, 0.99);
  const info = { control: undefined, target: undefined };
  const target = (limit: number) => (size >= LARGE ? ({ kind: "at-most", limit } as const) : undefined);
  return [
    {
      name: `p99 until the last acknowledgement ${at}`,
      value: p99,
      unit: "ms",
      control: quantile(bare, 0.99),
      target: target(LIMIT_MS),
    },
    { name: `p99 ${at}, of the control`, value: ratio, unit: "x", control: undefined, target: target(RATIO_LIMIT) },
    { name: `median ${at}`, value: median(acknowledged), unit: "ms", control: median(bare), target: undefined },
    {
      name: `median until the hub answers ${at}`,
      value: median(pairs.map((pair) => pair.answered)),
      unit: "ms",
      ...info,
    },
  ];
}

function describe({ acknowledged, answered, bare }: Pair): string {
  return `answered after ${answered.toFixed(0)} ms, all acknowledged after ${acknowledged.toFixed(0)} ms; bare ${bare.toFixed(0)} ms`;
}
