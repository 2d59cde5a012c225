/**
 * Hub, NATS and agents are killed at random moments over the real kernel: the same as `test/integration/chaos.test.ts`,
 * with every agent a process of its own. `npm run chaos -- --kernel --n 50` for more runs.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { RecordMap } from "@spanwire/core/records/record-map";
import { type Entry, offerAll } from "@spanwire/gateway/subscription/offer-all";
import { PID_FILE } from "@spanwire/hub/embedded/nats-child";
import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { afterAll, beforeAll, expect, test } from "vitest";
import { DemoMesh } from "../demo/demo-mesh.ts";
import { executeOrThrow } from "../lab/execute.ts";
import { type ChaosKernel, METRICS_PORT, openChaosKernel } from "./chaos-gateway.ts";
import { isBuilt, repeats, seed } from "./config.ts";
import { enterForGood } from "./enter-for-good.ts";
import { seededRandom } from "./seeded-random.ts";
import { createTopology, type GatewayMachine, type Site } from "./topology.ts";

const RUNS = repeats(10);
const SEED = seed();
const CHECKOUT = join(import.meta.dirname, "../..");
const BUNDLE = join(CHECKOUT, "services/cli/dist/lib/spanwire/spanwire.mjs");
const CONVERGED = { timeout: 600_000, interval: 1_000 };
/** On an idle machine a run takes half a minute. */
const LIMIT = { timeout: (RUNS + 1) * CONVERGED.timeout };
/** A kill falls anywhere into what a change takes where every instruction is emulated. */
const WINDOW_MS = 1_500;
const LOOKS_AT_REST = 2;
const STARTS = 3;
/** sw0 and, for two ordinals, two lanes of the plane in use. */
const DEVICES = 3;

interface Gateway {
  readonly name: string;
  readonly site: Site;
  readonly machine: GatewayMachine;
  readonly kernel: ChaosKernel;
}

const open = new AsyncDisposableStack();
let mesh: DemoMesh;
let directory: string;
let gateways: readonly Gateway[];

beforeAll(async () => {
  if (!isBuilt()) await executeOrThrow([process.execPath, join(CHECKOUT, "services/cli/build.ts")], { cwd: CHECKOUT });
  directory = await mkdtemp(join(tmpdir(), "spanwire-chaos-"));
  open.defer(() => rm(directory, { recursive: true, force: true }));
  const sites = [
    { name: "eu", gateways: 2 },
    { name: "us", gateways: 1 },
  ];
  const topology = open.use(await createTopology({ sites, machines: ["hub"] }));
  const hub = topology.machine("hub");
  enterForGood(hub.namespace); // the operator's connections come from there
  mesh = open.use(new DemoMesh({ spanwire: BUNDLE, hub, directory, dataplane: "kernel", keep: false }));
  await mesh.startHub();
  gateways = sites.flatMap(({ name }) => {
    const site = topology.site(name);
    return site.gateways.map((machine) => {
      const kernel = open.use(openChaosKernel({ site, machine, directory, hubAddress: hub.underlay.ipv4 }));
      return { name: machine.name, site, machine, kernel };
    });
  });
  await Promise.all(gateways.map(({ site, machine }) => mesh.joinGateway(site, machine, OPTIONS)));
});
afterAll(() => open.disposeAsync());

const OPTIONS = ["--metrics-port", `${METRICS_PORT}`];

/** Tries until it is acknowledged: a change that every kernel shows. */
async function change(run: number): Promise<void> {
  const port = 1_000 + run;
  const allow = [{ direction: Direction.BOTH, protocol: Protocol.TCP, ports: [{ first: port, last: port }] }];
  const links = [{ name: "shop", left: { clusters: ["eu"] }, right: { clusters: ["us"] }, allow }];
  const policy = { defaultLinks: DefaultLinks.FULL_MESH, links };
  await expect
    .poll(
      () => mesh.fleet.setLinkPolicy({ policy }, { timeoutMs: 5_000 }).then(() => "acknowledged", String),
      CONVERGED,
    )
    .toBe("acknowledged");
}

async function readMap(): Promise<RecordMap> {
  const { meshId, authorityKey } = await readOperatorContext(join(directory, "hub/context.json"));
  const entries: Entry[] = [];
  for await (const { chunk } of mesh.fleet.getMap({}, { timeoutMs: 20_000 })) entries.push(...(chunk?.entries ?? []));
  const map = new RecordMap({ meshId, authorityKey, verify: createVerify(), sha256 });
  offerAll(map, entries);
  return map;
}

/**
 * What the first gateway lacks that lacks anything: its kernel of the hub's map, or the map of what it acknowledged. To
 * look at the others as well would take from the agents the time that they need themselves.
 */
async function differences(): Promise<readonly string[]> {
  const map = await readMap();
  for (const { name, site, machine, kernel } of gateways) {
    if (!map.statements.has(`gateway.${site.name}.${machine.ordinal}`)) return [`${name}: is not in the map`];
    const lacking = await kernel.lacking(map);
    if (lacking.length > 0) return lacking.map(({ kind }) => `${name}: ${kind}`);
  }
  return [];
}

/** The pid alone proves nothing: it is ours if it runs in our folder, and it may be dead already. */
async function killNats(): Promise<void> {
  const pid = Number(await readFile(join(directory, "hub/nats", PID_FILE), "utf8").catch(() => ""));
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  if (pid > 1 && commandLine.includes(directory)) process.kill(pid, "SIGKILL");
}

type Victim = "hub" | "nats" | Gateway;

/** One, or two at once. */
function pickVictims(random: () => number): readonly Victim[] {
  const one = (): Victim => {
    const which = random();
    const gateway = gateways[Math.floor(random() * gateways.length)];
    if (which < 0.25) return "hub";
    return which < 0.5 || gateway === undefined ? "nats" : gateway;
  };
  return [...new Set(random() < 0.3 ? [one(), one()] : [one()])];
}

async function kill(victim: Victim): Promise<void> {
  if (victim === "nats") return killNats();
  if (victim === "hub") {
    process.kill(mesh.hubPid, "SIGKILL"); // and its NATS lives on
    return startHub();
  }
  await mesh.endAgent(victim.machine, "SIGKILL");
  await mesh.startAgent(victim.site, victim.machine, OPTIONS);
}

/** One whose NATS is killed while it starts ends, and is started again, as a service manager would. */
async function startHub(): Promise<void> {
  for (let left = STARTS; ; left--) {
    try {
      return await mesh.startHub();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

test(
  `${RUNS} kills at random moments: the kernels converge, no device is made anew, SPANWIRE_SEED=${SEED}`,
  LIMIT,
  async () => {
    const random = seededRandom(SEED);
    await expect.poll(differences, CONVERGED).toEqual([]);
    const devices = await devicesOf(gateways);
    expect(devices[0]).toHaveLength(DEVICES);
    for (let run = 1; run <= RUNS; run++) {
      const victims = pickVictims(random);
      const [killAtMs, changeAtMs] = [random() * WINDOW_MS, random() * WINDOW_MS];
      const started = performance.now();
      await Promise.all([
        delay(changeAtMs).then(() => change(run)),
        ...victims.map((victim) => delay(killAtMs).then(() => kill(victim))),
      ]);
      await expect.poll(differences, CONVERGED).toEqual([]);
      expect(await devicesOf(gateways)).toEqual(devices);
      const names = victims.map((victim) => (typeof victim === "string" ? victim : victim.name)).join(" and ");
      process.stderr.write(`run ${run}: ${names} killed, whole after ${Math.round(performance.now() - started)} ms\n`);
    }
    await expectRest();
  },
);

function devicesOf(those: readonly Gateway[]): Promise<readonly (readonly string[])[]> {
  return Promise.all(those.map(({ kernel }) => kernel.devices()));
}

async function expectRest(): Promise<void> {
  const counts = () => Promise.all(gateways.map(({ kernel }) => kernel.counts()));
  await expect.poll(async () => (await counts()).every((each) => each !== undefined), CONVERGED).toBe(true);
  const before = await counts();
  const hasLooked = async () =>
    (await counts()).every(
      (each, at) => (each?.reconciles ?? 0) >= (before[at]?.reconciles ?? Number.NaN) + LOOKS_AT_REST,
    );
  await expect.poll(hasLooked, CONVERGED).toBe(true);
  expect((await counts()).map((each) => each?.writes)).toEqual(before.map((each) => each?.writes));
}
