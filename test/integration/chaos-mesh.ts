/** @module A mesh that lives through many runs of faults, and what must be true of it after each. */
import { join as joinPath } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import type { Entry } from "@spanwire/gateway/subscription/offer-all";
import { makeTestDirectory } from "@spanwire/gateway/testing";
import { type Difference, listDifferences, readEntries } from "./chaos-differences.ts";
import { type ChaosGateway, nameOf, startChaosGateway } from "./chaos-gateway.ts";
import { startChaosHub } from "./chaos-hub.ts";
import type { Step } from "./chaos-plan.ts";
import { within } from "./chaos-within.ts";
import { createWitness, type Witness } from "./chaos-witness.ts";

export interface ChaosMesh extends AsyncDisposable {
  readonly witness: Witness;
  /** Gateways that were admitted, know it, and were not revoked. */
  alive(): readonly ChaosGateway[];
  /** Begins the steps at their times, and returns when the last one has begun. */
  suffer(steps: readonly Step[]): Promise<void>;
  /** Returns when hub, joins, restarts and revocations are over. */
  settle(): Promise<void>;
  /** Whose registration was acknowledged and not revoked since, sorted; `admitted`: whom the hub names. */
  acknowledged(): readonly string[];
  admitted(): Promise<readonly string[]>;
  /** Gateways whose kernel, or whose address in the map, is not as it should be. */
  differences(): Promise<readonly Difference[]>;
  /** The map as the hub holds it. */
  entries(): Promise<readonly Entry[]>;
  /** What hub and agents said last, for who must find out what went wrong. */
  explain(): string;
}

const CLUSTERS = ["eu", "us", "plant", "asia"];
/** The default of `maxGateways`. */
const ORDINALS = 2;
const SETTLE_MS = 120_000;

/** Starts with two gateways of one cluster, who joined in peace. */
export async function openChaosMesh(): Promise<ChaosMesh> {
  await using opening = new AsyncDisposableStack();
  const directory = opening.use(await makeTestDirectory());
  const hub = opening.use(await startChaosHub());
  const gateways: ChaosGateway[] = [];
  opening.defer(() => Promise.all(gateways.map((gateway) => gateway[Symbol.asyncDispose]())).then(() => {}));
  const ended = new Set<ChaosGateway>();
  const witness = createWitness();
  /** What was begun in this run. */
  let pending: Promise<void>[] = [];
  const begin = (work: Promise<void>) => {
    work.catch(() => {}); // `settle` tells
    pending.push(work);
  };
  let hosts = 0;
  const newHost = () => `172.16.${Math.floor(hosts / 250)}.${(hosts++ % 250) + 1}`;
  const alive = () => gateways.filter((gateway) => !ended.has(gateway));
  const pickAlive = (pick: number) => alive()[Math.floor(pick * alive().length)];

  async function join(clusterId: string, patienceMs = SETTLE_MS): Promise<void> {
    const host = newHost();
    const { token } = await hub.ask((fleet, options) => fleet.createToken({ clusterId }, options));
    gateways.push(
      await startChaosGateway({
        directory: joinPath(directory.path, host),
        token: new Secret(Buffer.from(token)),
        prefixes: [`10.${CLUSTERS.indexOf(clusterId)}.0.0/16`],
        host,
        patienceMs,
      }),
    );
  }

  async function revoke(gateway: ChaosGateway): Promise<void> {
    ended.add(gateway);
    const { clusterId, ordinal } = gateway;
    const revoking = hub.ask((fleet, options) => fleet.revokeGateway({ clusterId, ordinal, reason: "test" }, options));
    // Not found: it was revoked, and the answer died with the hub. `admitted` tells whether that is so.
    await revoking.catch((error: SpanwireError) => {
      if (error.reason !== "GATEWAY_NOT_FOUND") throw error;
    });
    await gateway.stop();
  }

  async function kill(gateway: ChaosGateway, downMs: number, host?: string): Promise<void> {
    witness.see(await gateway.kill(downMs, host));
  }

  /** Clusters with room for so many more gateways. */
  function withRoom(room: number): readonly string[] {
    const taken = (id: string) => alive().filter(({ clusterId }) => clusterId === id).length;
    return CLUSTERS.filter((id) => taken(id) + room <= ORDINALS);
  }

  /** Two race for one cluster where there is one that is empty. */
  function joinSome({ kind, pick, patienceMs }: Extract<Step, { readonly kind: "join" | "join-two" }>): void {
    const empty = kind === "join-two" ? withRoom(2) : [];
    const clusters = empty.length > 0 ? empty : withRoom(1);
    const chosen = clusters[Math.floor(pick * clusters.length)];
    if (chosen === undefined) throw new Error("every cluster of this mesh is full");
    begin(join(chosen, patienceMs));
    if (empty.length > 0) begin(join(chosen, patienceMs));
  }

  async function perform(step: Step): Promise<void> {
    switch (step.kind) {
      case "kill-hub":
        return hub.kill(step.downMs);
      case "kill-nats":
        return hub.killNats();
      case "join":
      case "join-two":
        return joinSome(step);
      case "kill-agent": {
        const gateway = pickAlive(step.pick);
        return gateway && begin(kill(gateway, step.downMs, step.moves ? newHost() : undefined));
      }
      case "revoke": {
        const gateway = pickAlive(step.pick);
        return gateway && begin(revoke(gateway));
      }
      default:
        step satisfies never;
    }
  }

  async function entries(): Promise<readonly Entry[]> {
    const read = await readEntries(hub);
    witness.see(read);
    return read;
  }

  await join("eu");
  await join("eu");
  const open = opening.move();
  return {
    witness,
    alive,
    entries,
    explain: () => [hub.output(), ...alive().map((gateway) => `${nameOf(gateway)}\n${gateway.lastWords()}`)].join("\n"),
    async suffer(steps) {
      const started = performance.now();
      for (const step of steps) {
        await delay(Math.max(0, started + step.atMs - performance.now()));
        // A step awaits no more than the death of a process, so that two of one time are at once.
        await perform(step);
      }
    },
    async settle() {
      await hub.up();
      const begun = pending;
      pending = [];
      await within(SETTLE_MS, "joins, restarts and revocations end", Promise.all(begun), hub.output);
    },
    acknowledged: () => alive().map(nameOf).sort(),
    async admitted() {
      const { clusters } = await hub.ask((fleet, options) => fleet.listClusters({}, options));
      const named = clusters.flatMap(({ id: clusterId, gateways: admitted }) =>
        admitted.map(({ ordinal, identityKey }) =>
          nameOf({ clusterId, ordinal, identityKey: Buffer.from(identityKey).toString("hex") }),
        ),
      );
      return named.sort();
    },
    differences: async () => listDifferences(hub, alive(), await entries()),
    [Symbol.asyncDispose]: () => open.disposeAsync(),
  };
}
