/**
 * @module What the hub stands on: keys, NATS, the state and its live map. Opened in this order, because each needs the
 * one before; everything ends with the signal.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@spanwire/core/identity/secret";
import type { Clock, Random } from "@spanwire/core/time";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { writeFileAtomic } from "@spanwire/runtime/files/write-file-atomic";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type Authority, openAuthority } from "./authority/authority.ts";
import { SERVER_LIFETIME_MS } from "./authority/ca.ts";
import { ensureGenesis, trustOf } from "./authority/genesis.ts";
import type { HubConfig } from "./config.ts";
import { findNatsServer } from "./embedded/find-nats-server.ts";
import { startNatsChild } from "./embedded/nats-child.ts";
import { type Bans, followBans, lookUpAccount } from "./nats/ban-users.ts";
import { type ExternalOperator, openExternalOperator } from "./nats/external-operator.ts";
import { type HubConnections, openHubConnections } from "./nats/hub-connections.ts";
import { type NatsOperator, type OwnOperator, openNatsOperator } from "./nats/operator.ts";
import { renderServerConfig } from "./nats/server-config.ts";
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
    config.nats.servers === undefined ? await startOwnNats(options, authority, own) : await useNats(config, authority);
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

interface Nats {
  /** Where this hub connects. */
  readonly own: readonly string[];
  /** Where agents are told to connect. */
  readonly advertised: readonly string[];
  readonly caPem: string;
  readonly done: Promise<void>;
}

async function startOwnNats(options: FoundationOptions, authority: Authority, operator: OwnOperator): Promise<Nats> {
  const { config, log, clock, random, searchPath, signal } = options;
  const binary = await findNatsServer({ given: config.nats.binary, searchPath });
  const directory = join(config.dir, "nats");
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const tls = { certificateFile: join(directory, "server.crt"), keyFile: join(directory, "server.key") };
  // Made anew at each start, well before it expires for a server that is restarted once in a season.
  const { listen: host } = config;
  const hosts = [...new Set([config.advertise, ...(isAny(host) ? [] : [host]), "127.0.0.1", "localhost"])];
  const certificate = authority.ca.issueServer({ hosts, nowMs: clock.now(), lifetimeMs: SERVER_LIFETIME_MS });
  await writeFileAtomic(tls.certificateFile, Buffer.from(certificate.chainPem));
  await writeFileAtomic(tls.keyFile, certificate.privateKeyPem.reveal());
  const port = await choosePort(directory, config.nats.port);
  const configFile = join(directory, "nats-server.conf");
  await writeFile(configFile, renderServerConfig({ operator, host, port, directory, tls }), { mode: 0o600 });
  const child = await startNatsChild({ binary, configFile, log, clock, random, signal });
  const listening = new URL(child.url).port;
  await writeFileAtomic(join(directory, PORT_FILE), Buffer.from(listening));
  return {
    own: [`tls://${isAny(host) ? "127.0.0.1" : host}:${listening}`],
    advertised: [`tls://${config.advertise}:${listening}`],
    caPem: authority.ca.certificatePem,
    done: child.done,
  };
}

const PORT_FILE = "port";

/** A port that was chosen once stays: agents have been told. */
async function choosePort(directory: string, wanted: number): Promise<number> {
  if (wanted !== 0) return wanted;
  const former = Number(await readFile(join(directory, PORT_FILE), "utf8").catch(() => "0"));
  return former > 0 ? former : -1;
}

function isAny(host: string): boolean {
  return host === "0.0.0.0" || host === "::";
}

async function useNats({ nats }: HubConfig, { ca }: Authority): Promise<Nats> {
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
