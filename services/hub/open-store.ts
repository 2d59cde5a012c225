/** @module The hub's keys and its store in NATS: what a running hub stands on, and what a restore writes to. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@spanwire/core/identity/secret";
import type { Clock, Random } from "@spanwire/core/time";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type Authority, openAuthority } from "./authority/authority.ts";
import type { HubConfig } from "./config.ts";
import { findNatsServer } from "./embedded/find-nats-server.ts";
import { type OwnNats, startOwnNats } from "./embedded/own-nats.ts";
import { lookUpAccount } from "./nats/ban-users.ts";
import { type ExternalOperator, openExternalOperator } from "./nats/external-operator.ts";
import { type HubConnections, openHubConnections } from "./nats/hub-connections.ts";
import { type NatsOperator, type OwnOperator, openNatsOperator } from "./nats/operator.ts";
import { type Keys, openKeys } from "./secrets/open-keys.ts";
import { refuseExample } from "./secrets/refuse-example.ts";
import { refuseOwnServer } from "./state/durability.ts";
import { type Durability, followDurability } from "./state/follow-durability.ts";
import { openNatsStateStore } from "./state/jetstream/nats-state-store.ts";
import { readStoreFacts } from "./state/jetstream/read-store-facts.ts";
import type { StateStore } from "./state/port.ts";

export interface OpenStore {
  readonly authority: Authority;
  readonly keys: Keys;
  readonly operator: NatsOperator;
  /** What agents connect to, and the CA they check it by. */
  readonly natsUrls: readonly string[];
  readonly natsCaPem: string;
  readonly connections: HubConnections;
  readonly store: StateStore;
  /** Says something in profile production only. */
  readonly durability: Durability;
  /** Resolves when the signal has aborted and an embedded NATS has ended. */
  readonly done: Promise<void>;
}

export interface OpenOptions {
  readonly config: HubConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** $PATH, for the nats-server. */
  readonly searchPath: string;
  readonly signal: AbortSignal;
}

/** Opens keys, NATS and buckets, each made on first use; throws for a NATS unfit for the profile. All ends with the signal. */
export async function openStore(options: OpenOptions): Promise<OpenStore> {
  const { config, log, clock, signal } = options;
  const isProduction = config.profile === "production";
  if (isProduction && config.nats.servers === undefined) throw refuseOwnServer();
  const keys = await openKeys(config, options);
  const { id: meshId, ...choice } = config.mesh;
  const chosen = Object.fromEntries(Object.entries({ meshId, ...choice }).filter(([, value]) => value !== undefined));
  const authority = await openAuthority(keys.store, { choice: chosen, nowMs: clock.now(), randomBytes, ...keys });
  const own = await openNatsOperator(keys.store);
  const nats =
    config.nats.servers === undefined ? await startOwn(options, authority, own) : await useNats(config, authority);
  const external = await openExternal(config);
  const operator = external ?? own;
  const connections = await openHubConnections({ operator, servers: nats.own, caPem: nats.caPem, log, signal });
  external?.check(await lookUpAccount(connections.system, external.meshAccount));
  const { replicas } = config.nats;
  const store = await openNatsStateStore({ connection: connections.state, clock, ...(replicas && { replicas }) });
  const durability = isProduction ? await followStoreFacts(connections, options) : UNASKED;
  const { advertised: natsUrls, caPem: natsCaPem } = nats;
  const done = Promise.all([nats.done, keys.done, durability.done]).then(() => {});
  return { authority, keys, operator, natsUrls, natsCaPem, connections, store, durability, done };
}

const UNASKED: Durability = { conditions: () => [], done: Promise.resolve() };

function followStoreFacts(connections: HubConnections, options: OpenOptions): Promise<Durability> {
  const { state, system } = connections;
  const read = () => readStoreFacts({ state, system, clock: options.clock });
  return followDurability({ ...options, read, statuses: [state.status(), system.status()] });
}

async function startOwn(options: OpenOptions, { ca }: Authority, operator: OwnOperator): Promise<OwnNats> {
  const { config, searchPath, log, clock, random, signal } = options;
  const binary = await findNatsServer({ given: config.nats.binary, searchPath });
  const { listen, advertise, dir } = config;
  const { port } = config.nats;
  const directory = join(dir, "nats");
  return startOwnNats({ directory, binary, operator, ca, listen, advertise, port, log, clock, random, signal });
}

async function useNats({ nats }: HubConfig, { ca }: Authority): Promise<OwnNats> {
  const { servers = [], caFile } = nats;
  const caPem = caFile === undefined ? ca.certificatePem : await readFile(caFile, "utf8");
  return { own: servers, advertised: servers, caPem, done: Promise.resolve() };
}

async function openExternal({ nats: { account } }: HubConfig): Promise<ExternalOperator | undefined> {
  if (account === undefined) return undefined;
  const readSeed = async (file: string) =>
    new Secret(Buffer.from(refuseExample((await readFile(file, "utf8")).trim(), file)));
  return openExternalOperator({
    account: account.id,
    accountSeed: await readSeed(account.seedFile),
    operatorSeed: await readSeed(account.operatorSeedFile),
    systemCreds: new Secret(await readFile(account.systemCredsFile)),
  });
}
