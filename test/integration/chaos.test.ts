import { join as joinPath } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Secret } from "@spanwire/core/identity/secret";
import { RecordMap } from "@spanwire/core/records/record-map";
import type { Entry } from "@spanwire/gateway/subscription/offer-all";
import { makeTestDirectory } from "@spanwire/gateway/testing";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { expect, test } from "vitest";
import { repeats, seed } from "../netns/config.ts";
import { seededRandom } from "../netns/seeded-random.ts";
import { type ChaosGateway, startChaosGateway } from "./chaos-gateway.ts";
import { type ChaosHub, startChaosHub } from "./chaos-hub.ts";
import { planChaos, type Step } from "./chaos-plan.ts";
import { within } from "./chaos-within.ts";
import { createWitness, type Witness } from "./chaos-witness.ts";

const RUNS = repeats(2, { SPANWIRE_N: process.env["SPANWIRE_CHAOS_RUNS"] ?? process.env["SPANWIRE_N"] });
const FIRST_SEED = seed();
const RUN_MS = 150_000;
const SETTLE_MS = 40_000;
const CONVERGED = { timeout: 30_000, interval: 200 };
/** Looks at the kernel that must pass without a write. */
const LOOKS_AT_REST = 5;

test.each(Array.from({ length: RUNS }, (_, run) => FIRST_SEED + run))(
  "hub, NATS and agents are killed at random moments, SPANWIRE_SEED=%i",
  async (number) => {
    await using mesh = await openMesh();
    const random = seededRandom(number);
    for (const step of planChaos(random)) {
      await delay(step.afterMs);
      await mesh.perform(step);
    }
    await mesh.settle();

    await expect.poll(() => mesh.differences(), CONVERGED).toEqual([]);
    expect(await mesh.admitted()).toEqual(mesh.acknowledged());
    await mesh.expectRest();
    for (const { made } of mesh.alive()) expect([...made].filter(([, times]) => times > 1)).toEqual([]);
    expect(mesh.witness.fallen(await mesh.entries())).toEqual([]);
    expect(mesh.witness.forks).toEqual([]);
  },
  RUN_MS,
);

/** Two gateways of one cluster, who joined in peace, and what comes after them. */
async function openMesh() {
  await using opening = new AsyncDisposableStack();
  const directory = opening.use(await makeTestDirectory());
  const hub = opening.use(await startChaosHub());
  const gateways: ChaosGateway[] = [];
  opening.defer(() => Promise.all(gateways.map((gateway) => gateway[Symbol.asyncDispose]())).then(() => {}));
  const ended = new Set<ChaosGateway>();
  const witness = createWitness();
  /** What was begun and is not over yet. */
  const pending: Promise<void>[] = [];
  const begin = (work: Promise<void>) => {
    work.catch(() => {}); // `settle` tells
    pending.push(work);
  };
  let hosts = 0;
  const newHost = () => `192.0.2.${++hosts}`;
  const prefixes = new Map<string, string>();
  const alive = () => gateways.filter((gateway) => !ended.has(gateway));
  const pickAlive = (pick: number) => alive()[Math.floor(pick * alive().length)];

  async function join(clusterId: string, patienceMs: number): Promise<void> {
    const isFirst = !prefixes.has(clusterId);
    if (isFirst) prefixes.set(clusterId, `10.${prefixes.size}.0.0/16`);
    const host = newHost();
    const { token } = await hub.ask((fleet, options) => fleet.createToken({ clusterId }, options));
    gateways.push(
      await startChaosGateway({
        directory: joinPath(directory.path, host),
        token: new Secret(Buffer.from(token)),
        prefixes: [prefixes.get(clusterId) ?? ""],
        host,
        patienceMs,
      }),
    );
  }

  async function revoke(gateway: ChaosGateway): Promise<void> {
    ended.add(gateway);
    const { clusterId, ordinal } = gateway;
    await hub.ask((fleet, options) => fleet.revokeGateway({ clusterId, ordinal, reason: "test" }, options));
  }

  async function kill(gateway: ChaosGateway, downMs: number, host?: string): Promise<void> {
    witness.see(await gateway.kill(downMs, host));
  }

  async function perform(step: Step): Promise<void> {
    if (step.kind === "kill-hub") return hub.kill(step.downMs);
    if (step.kind === "kill-nats") return hub.killNats();
    if (step.kind === "join") return begin(join(step.clusterId, step.patienceMs));
    const gateway = pickAlive(step.pick);
    if (gateway === undefined) return;
    if (step.kind === "revoke") begin(revoke(gateway));
    else begin(kill(gateway, step.downMs, step.moves ? newHost() : undefined));
  }

  const entries = () => readEntries(hub, witness);
  await join("eu", RUN_MS);
  await join("eu", RUN_MS);
  const open = opening.move();
  return {
    witness,
    alive,
    perform,
    entries,
    async settle(): Promise<void> {
      await hub.up();
      await within(SETTLE_MS, "joins, restarts and the revocation end", Promise.all(pending));
      await within(SETTLE_MS, "the revoked one stops", Promise.all([...ended].map((gateway) => gateway.stop())));
    },
    acknowledged: () => alive().map(nameOf).sort(),
    async admitted(): Promise<readonly string[]> {
      const { clusters } = await hub.ask((fleet, options) => fleet.listClusters({}, options));
      return clusters
        .flatMap(({ id: clusterId, gateways }) =>
          gateways.map(({ ordinal, identityKey }) =>
            nameOf({ clusterId, ordinal, identityKey: Buffer.from(identityKey).toString("hex") }),
          ),
        )
        .sort();
    },
    /** Gateways whose kernel, or whose address in the map, is not as it should be. */
    async differences() {
      const { meshId, authorityKey } = await hub.context();
      const map = new RecordMap({ meshId, authorityKey, verify: createVerify(), sha256 });
      for (const { key, record } of await entries()) map.offer(key, record);
      const found = alive().map(async (gateway) => {
        const said = map.statements.get(`gateway.${gateway.clusterId}.${gateway.ordinal}`)?.statement.endpoints[0]
          ?.host;
        const [holds, wanted] = [gateway.kernel.toString(), await gateway.wanted(map)];
        return { gateway: nameOf(gateway), said, holds, host: gateway.host, wanted };
      });
      return (await Promise.all(found)).filter(({ said, host, holds, wanted }) => said !== host || holds !== wanted);
    },
    async expectRest(): Promise<void> {
      const before = alive().map(({ kernel }) => kernel.writes);
      const goals = alive().map(({ reconciles }) => reconciles + LOOKS_AT_REST);
      await expect
        .poll(() => alive().every(({ reconciles }, at) => reconciles >= (goals[at] ?? 0)), CONVERGED)
        .toBe(true);
      expect(alive().map(({ kernel }) => kernel.writes)).toEqual(before);
    },
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}

async function readEntries(hub: ChaosHub, witness: Witness): Promise<readonly Entry[]> {
  const entries = await hub.ask(async (fleet, options) => {
    const read: Entry[] = [];
    for await (const { chunk } of fleet.getMap({}, options)) read.push(...(chunk?.entries ?? []));
    return read;
  });
  witness.see(entries);
  return entries;
}

function nameOf({ clusterId, ordinal, identityKey }: Pick<ChaosGateway, "clusterId" | "ordinal" | "identityKey">) {
  return `${clusterId}/${ordinal} ${identityKey}`;
}
