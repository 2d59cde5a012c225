/** @module What the hub stands on: keys and store, and the live map of it. Everything ends with the signal. */
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import type { Logger } from "@spanwire/runtime/log/logger";
import { ensureGenesis, trustOf } from "./authority/genesis.ts";
import { type Bans, followBans } from "./nats/ban-users.ts";
import { type OpenOptions, type OpenStore, openStore } from "./open-store.ts";
import { type HubMap, type MapIncident, startHubMap } from "./state/mesh-view.ts";

export interface Foundation extends OpenStore {
  readonly map: HubMap;
  readonly bans: Bans;
  /** Tells what has happened to the map since the start, then each further incident. */
  onIncident(listener: (incident: MapIncident) => void): void;
}

/** Opens everything and returns when the map is current. */
export async function openFoundation(options: OpenOptions): Promise<Foundation> {
  const { log, clock, random, signal } = options;
  const opened = await openStore(options);
  const { authority, operator, connections, store } = opened;
  const crypto = { verify: createVerify(), sha256 };
  const early: MapIncident[] = [];
  let tell: (incident: MapIncident) => void = (incident) => early.push(incident);
  await ensureGenesis(store.map, authority, crypto);
  const map = startHubMap({
    store,
    trust: trustOf(authority, crypto),
    clock,
    random,
    onIncident(incident) {
      reportIncident(log, incident);
      tell(incident);
    },
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
  const done = Promise.all([opened.done, map.done, bans.done]).then(() => undefined);
  const onIncident = (listener: (incident: MapIncident) => void) => {
    tell = listener;
    for (const incident of early.splice(0)) listener(incident);
  };
  return { ...opened, map, bans, onIncident, done };
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
