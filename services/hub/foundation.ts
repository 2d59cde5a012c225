/**
 * @module What the hub stands on: keys, NATS, the state and its live map. Opened in this order, because each needs the
 * one before; everything ends with the signal.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@spanwire/core/identity/secret";
import type { Clock, Random } from "@spanwire/core/time";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type Authority, openAuthority } from "./authority/authority.ts";
import { ensureGenesis, trustOf } from "./authority/genesis.ts";
import type { HubConfig } from "./config.ts";
import { findNatsServer } from "./embedded/find-nats-server.ts";
import { type OwnNats, startOwnNats } from "./embedded/own-nats.ts";
import { type Bans, followBans, lookUpAccount } from "./nats/ban-users.ts";
import { type ExternalOperator, openExternalOperator } from "./nats/external-operator.ts";
import { type HubConnections, openHubConnections } from "./nats/hub-connections.ts";
import { type NatsOperator, type OwnOperator, openNatsOperator } from "./nats/operator.ts";
import { openFileSecretStore } from "./secrets/file-secret-store.ts";
import { openNatsStateStore } from "./state/jetstream/nats-state-store.ts";
import { type HubMap, type MapIncident, startHubMap } from "./state/mesh-view.ts";
import type { StateStore } from "./state/port.ts";

export interface Foundation {
  readonly authority: Authority;
  readonly operator: NatsOperator;
  /** What agents connect to, and the CA they check it by. */
  readonly natsUrls: readonly string[];
  readonly natsCaPem: string;
  readonly connections: HubConnections;
  readonly store: StateStore;
  readonly map: HubMap;
  readonly bans: Bans;
  /** Resolves when the signal has aborted and nothing of this runs any more. */
  readonly done: Promise<void>;
}

export interface FoundationOptions {
  readonly config: HubConfig;
  readonly log: Logger;
  readonly clock: Clock;
  readonly random: Random;
  /** $PATH, for the nats-server. */
  readonly searchPath: string;
  readonly signal: AbortSignal;
}

/** Opens everything and returns when the map is current. */
export async function openFoundation(options: FoundationOptions): Promise<Foundation> {
  const { config, log, clock, random, signal } = options;
  await mkdir(config.dir, { recursive: true, mode: 0o700 });
  const secrets = await openFileSecretStore(join(config.dir, "secrets"));
  const { id: meshId, ...choice } = config.mesh;
  const chosen = Object.fromEntries(Object.entries({ meshId, ...choice }).filter(([, value]) => value !== undefined));
  const authority = await openAuthority(secrets, { choice: chosen, nowMs: clock.now(), randomBytes });
  const own = await openNatsOperator(secrets);
  const nats =
    config.nats.servers === undefined ? await startOwn(options, authority, own) : await useNats(config, authority);
  const external = await openExternal(config);
  const operator = external ?? own;
  const connections = await openHubConnections({ operator, servers: nats.own, caPem: nats.caPem, log, signal });
  external?.check(await lookUpAccount(connections.system, external.meshAccount));
  const { replicas } = config.nats;
  const store = await openNatsStateStore({ connection: connections.state, clock, ...(replicas && { replicas }) });
  const crypto = { verify: createVerify(), sha256 };
  await ensureGenesis(store.map, authority, crypto);
  const map = startHubMap({
    store,
    trust: trustOf(authority, crypto),
    clock,
    random,
    onIncident: (incident) => reportIncident(log, incident),
    signal,
  });
  const onFailure = (err: unknown) => log.warn({ err }, "telling nats about banned users failed");
  const bans = await followBans({
    registry: store.registry,
    operator,
    system: connections.system,
    clock,
    onFailure,
    signal,
  });
  await map.whenCurrent(signal);
  const done = Promise.all([nats.done, map.done, bans.done]).then(() => undefined);
  return { authority, operator, natsUrls: nats.advertised, natsCaPem: nats.caPem, connections, store, map, bans, done };
}

async function startOwn(options: FoundationOptions, { ca }: Authority, operator: OwnOperator): Promise<OwnNats> {
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
  const read = async (file: string) => new Secret(await readFile(file));
  return openExternalOperator({
    account: account.id,
    accountSeed: await read(account.seedFile),
    operatorSeed: await read(account.operatorSeedFile),
    systemCreds: await read(account.systemCredsFile),
  });
}

function reportIncident(log: Logger, incident: MapIncident): void {
  switch (incident.kind) {
    case "refused":
      log.error({ key: incident.key, reason: incident.reason }, incident.message);
      return;
    case "lost":
      log.error({ keys: incident.keys }, "the store has lost records; putting them back");
      return;
    case "lineage":
      log.error({ from: String(incident.from), to: String(incident.to) }, "the store's history has changed");
      return;
    case "unavailable":
      log.warn({ err: incident.error, retryInMs: incident.retryInMs }, "following the store failed");
      return;
    default:
      incident satisfies never;
  }
}
