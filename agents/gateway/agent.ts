/**
 * @module The agent's life, behind ports: records -> wish -> data plane, and what of it is reported.
 *
 * No module state, and no timers but those that something waits for: a thousand agents run in a few processes, each with
 * a connection and a kernel of its own. `main.ts` wires the real ones.
 */
import { isDeepStrictEqual } from "node:util";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Changed } from "@spanwire/core/desired/compile";
import type { Verify } from "@spanwire/core/records/crypto";
import { EPOCH_KEY, gatewayKey } from "@spanwire/core/records/key";
import type { OpenedRecord } from "@spanwire/core/records/open";
import { RecordMap } from "@spanwire/core/records/record-map";
import type { GatewayRef } from "@spanwire/core/subjects";
import type { Clock, Random } from "@spanwire/core/time";
import { type GatewayStatus, GatewayStatusSchema } from "@spanwire/proto/agent";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import type { Logger } from "@spanwire/runtime/log/logger";
import { connectAgent } from "./connection.ts";
import { type HostCondition, hostConditions } from "./dataplane/conditions.ts";
import { Dataplane, type Reported } from "./dataplane/dataplane.ts";
import { localNetworks } from "./dataplane/local-networks.ts";
import type { FullOutcome } from "./dataplane/reconcile.ts";
import type { GatewayIdentity } from "./identity/gateway-identity.ts";
import { type EpochKey, ensureEpochKey } from "./identity/wireguard-keys.ts";
import type { Membership } from "./join/membership.ts";
import { type Renewal, startRenewal } from "./join/renewal.ts";
import type { SysctlFinding } from "./kernel/capability.ts";
import { describeChange } from "./kernel/describe.ts";
import type { Kernel } from "./kernel/port.ts";
import { controlAddresses, type DataplaneSettings, type Resolve } from "./local-facts.ts";
import { changedClusters, Planner } from "./planner.ts";
import { type Acknowledger, startAcknowledger } from "./report/acknowledger.ts";
import { type Absence, type Ending, findEndings, observeAbsence, withoutWanted } from "./report/endings.ts";
import { countEstablished, linkHealth } from "./report/link-health.ts";
import { mapConditions, type ReportedCondition } from "./report/map-conditions.ts";
import { type StatusReports, startStatusReports } from "./report/status-reports.ts";
import { type StatementSettings, statementContent, toDataplane } from "./statement-content.ts";
import { loadStoredMap } from "./subscription/load-stored-map.ts";
import { MapStore, type StoredPositions } from "./subscription/map-store.ts";
import { type OwnStatement, openOwnStatement, type StatementContent } from "./subscription/own-statement.ts";
import { formatPosition, type Position } from "./subscription/position.ts";
import { Subscription } from "./subscription/subscription.ts";
import { startUplink, type Uplink } from "./subscription/uplink.ts";

export interface AgentSettings extends StatementSettings, DataplaneSettings {
  /** `uname -r`. */
  readonly kernelRelease: string;
  /** What only a sysctl can set, and is not set. */
  readonly sysctls: readonly SysctlFinding[];
  /** How often the whole kernel is looked at although nothing has happened; 5 s if absent. */
  readonly lookEveryMs?: number;
  readonly statusEveryMs?: number;
}

export interface AgentOptions {
  readonly stateDirectory: string;
  readonly membership: Membership;
  readonly identity: GatewayIdentity;
  readonly kernel: Kernel;
  readonly settings: AgentSettings;
  /** Agents of one process may share one, with the keys it has imported. */
  readonly verify: Verify;
  readonly resolve: Resolve;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Ends the agent; the kernel keeps what it has. */
  readonly signal: AbortSignal;
}

/** What metrics and health checks show. */
export interface AgentState {
  readonly position: Position;
  readonly records: number;
  readonly connected: boolean;
  readonly reconciles: number;
  readonly kernelWrites: number;
  readonly conditions: readonly ReportedCondition[];
  /** What keeps this gateway from its work; undefined when nothing does. */
  readonly notReady: string | undefined;
}

const RETRY_CONNECT_MS = 60_000;
/** As the contract limits a status. */
const LIMITS = { conditions: 256, subject: 256, message: 1_024 };

export class Agent {
  readonly #options: AgentOptions;
  readonly #self: GatewayRef;
  readonly #startedMs: number;
  /** Ends every part when one of them has ended with a bug. */
  readonly #ended = new AbortController();
  readonly #map: RecordMap;
  readonly #store: MapStore;
  readonly #planner: Planner;
  readonly #dataplane: Dataplane;
  readonly #subscription: Subscription;
  readonly #renewal: Renewal;
  readonly #uplink: Uplink;
  readonly #acknowledger: Acknowledger;
  readonly #status: StatusReports;
  #keys: readonly EpochKey[] = [];
  #nats: NatsConnection | undefined;
  /** Of the newest wish. */
  #version = 0;
  #lastLook: FullOutcome | undefined;
  #hostConditions: readonly HostCondition[] = [];
  /** Tunnels that had a handshake when we last looked. */
  #established = 0;
  #reconciles = 0;
  #kernelWrites = 0;
  /** Tombstones whose peers no dump has shown absent yet. */
  #endings: Ending[] = [];
  #failures: readonly string[] = [];
  /** The last acknowledgement, as text. */
  #said = "";
  #isResolving = false;

  /** Reads what is on disk and plans from it, without a hub; `run` does the rest. */
  static async open(options: AgentOptions): Promise<Agent> {
    const { stateDirectory, membership, identity, verify, clock, log } = options;
    const { meshId, authorityKey } = membership.credentials;
    const { clusterId, ordinal, incarnation } = membership;
    const map = new RecordMap({ meshId, authorityKey, verify, sha256 });
    const store = new MapStore(stateDirectory);
    const stored = await loadStoredMap(map, { store, log });
    const self = { clusterId, ordinal };
    const { signer } = identity;
    const own = await openOwnStatement({ stateDirectory, self, incarnation, meshId, signer, clock });
    const agent = new Agent(options, { self, map, store, stored, own });
    await agent.#loadKeys();
    agent.#planner.observe({ connected: localNetworks(await options.kernel.network.host()) });
    return agent;
  }

  private constructor(options: AgentOptions, parts: Parts) {
    const { membership, identity, kernel, settings, clock, random, log } = options;
    const { self, map, store, own } = parts;
    const signal = AbortSignal.any([options.signal, this.#ended.signal]);
    const shared = { self, clock, random, log, signal, nats: () => this.#nats };
    this.#options = { ...options, signal };
    this.#self = self;
    this.#startedMs = clock.now();
    this.#map = map;
    this.#store = store;
    this.#planner = new Planner(map, self, settings);
    this.#dataplane = new Dataplane({
      ...shared,
      kernel,
      resolve: options.resolve,
      onOutcome: (outcome) => this.#onOutcome(outcome),
      onFailure: (err, _failure, retryInMs) => log.error({ err, retryInMs }, "the kernel could not be read"),
      beforeLook: () => this.#observeHost(),
      ...(settings.lookEveryMs === undefined ? {} : { everyMs: settings.lookEveryMs }),
    });
    this.#subscription = new Subscription({
      ...shared,
      ...parts,
      onAccepted: (records) => this.#onAccepted(records),
      onConfirmed: () => this.#refresh(),
      onLost: () => this.#uplink.wake(),
      onConnected: () => this.#onConnected(),
    });
    this.#renewal = startRenewal({
      ...shared,
      stateDirectory: options.stateDirectory,
      membership,
      signer: identity.signer,
      onRenewed: ({ mapState }) => this.#subscription.told(mapState),
    });
    this.#uplink = startUplink({
      ...shared,
      own,
      map,
      subscription: this.#subscription,
      content: () => this.#statement(),
    });
    const { incarnation, credentials } = membership;
    const voice = { incarnation, meshId: credentials.meshId, signer: identity.signer };
    this.#acknowledger = startAcknowledger({ ...shared, ...voice });
    this.#status = startStatusReports({
      ...shared,
      build: () => this.#buildStatus(),
      onInterval: () => this.#onInterval(),
      ...(settings.statusEveryMs === undefined ? {} : { intervalMs: settings.statusEveryMs }),
    });
  }

  /** Resolves when the signal has aborted and everything is written down; rejects with the error of a bug. */
  async run(): Promise<void> {
    if (this.#subscription.confirmed) this.#plan("all");
    else this.#confirm();
    void this.#resolveControl();
    const parts = [
      this.#dataplane.run(),
      this.#subscription.done,
      this.#renewal.done,
      this.#uplink.done,
      this.#acknowledger.done,
      this.#status.done,
      this.#connect(),
    ];
    try {
      await Promise.all(parts);
    } finally {
      this.#ended.abort();
      await Promise.allSettled(parts);
      await this.#subscription.close();
    }
  }

  get state(): AgentState {
    return {
      position: this.#subscription.health.position,
      records: this.#map.size,
      connected: this.#nats !== undefined && !this.#nats.isClosed(),
      reconciles: this.#reconciles,
      kernelWrites: this.#kernelWrites,
      conditions: this.#conditions(),
      notReady: this.#notReady(),
    };
  }

  /** A map that was never shown to be the hub's: what the hub said last over TLS decides, and it may say so anew. */
  #confirm(): void {
    this.#subscription.told(this.#renewal.membership.mapState);
    if (this.#map.size > 0) this.#renewal.now(); // it was confirmed once, and what was stored of it is damaged
  }

  async #connect(): Promise<void> {
    const { identity, clock, random, log, signal } = this.#options;
    while (!signal.aborted) {
      try {
        const membership = () => this.#renewal.membership;
        const user = identity.nkey;
        this.#nats = await connectAgent({ self: this.#self, user, membership, clock, random, log, signal });
        return this.#subscription.attach(this.#nats);
      } catch (err) {
        if (signal.aborted) return;
        log.error({ err, retryInMs: RETRY_CONNECT_MS }, "nats cannot be used"); // and the kernel needs none
        await clock.sleep(RETRY_CONNECT_MS, signal).catch(() => {});
      }
    }
  }

  #onConnected(): void {
    this.#uplink.wake();
    this.#acknowledger.connected();
    this.#status.changed();
  }

  #onAccepted(records: readonly OpenedRecord[]): void {
    const endings = findEndings(records, this.#planner.desired);
    this.#plan(changedClusters(records));
    for (const ending of endings) this.#endings.push(withoutWanted(ending, this.#planner.desired));
    if (records.some(({ key }) => key === EPOCH_KEY)) this.#refresh();
    if (records.some(({ key }) => key === gatewayKey(this.#self.clusterId, this.#self.ordinal))) this.#uplink.wake();
  }

  /** Plans with a key for each epoch in use, and says so. */
  #refresh(): void {
    this.#loadKeys().then(
      () => {
        this.#plan("all");
        this.#uplink.wake();
      },
      (err: unknown) => this.#options.log.error({ err }, "making a WireGuard key failed"), // the next interval tries again
    );
  }

  async #loadKeys(): Promise<void> {
    const { active = 0n, opening = active } = this.#map.epoch ?? {};
    const epochs = [...new Set([active, opening])];
    this.#keys = await Promise.all(epochs.map((epoch) => ensureEpochKey(this.#options.stateDirectory, epoch)));
    this.#planner.observe({ keys: this.#keys });
  }

  #plan(changed: Changed): void {
    if (!this.#subscription.confirmed) return;
    const planned = this.#planner.plan(changed);
    if (planned === undefined) return;
    this.#version = this.#dataplane.want(planned.compiled);
    if (planned.conditionsChanged) this.#status.changed();
  }

  async #observeHost(): Promise<void> {
    const connected = localNetworks(await this.#options.kernel.network.host());
    if (this.#planner.observe({ connected })) this.#plan("all");
  }

  /** In the background: a name server may be slow, and nothing waits for it. */
  async #resolveControl(): Promise<void> {
    if (this.#isResolving) return;
    this.#isResolving = true;
    const { hubAddress, credentials } = this.#renewal.membership;
    const control = await controlAddresses([hubAddress, ...credentials.natsUrls], this.#options.resolve);
    this.#isResolving = false;
    if (control.length > 0 && this.#planner.observe({ control })) this.#plan("all");
  }

  async #statement(): Promise<StatementContent | undefined> {
    return this.#subscription.confirmed ? statementContent(this.#options.settings, this.#keys) : undefined;
  }

  #onOutcome(outcome: Reported): void {
    const { log } = this.#options;
    const { done, path, repaired } = outcome;
    const failures = outcome.failures.map(({ error }) => error.message);
    this.#reconciles += 1;
    this.#kernelWrites += done.length + failures.length;
    const [first] = done;
    if (first !== undefined)
      log.info({ path, repaired, changes: done.length, first: describeChange(first) }, "programmed the kernel");
    if (failures.join() !== this.#failures.join() && failures.length > 0)
      log.error({ failures }, "the kernel refuses changes");
    this.#failures = failures;
    if ("observed" in outcome) this.#onLook(outcome);
    if (outcome.version === this.#version) void this.#acknowledge(this.#subscription.health.position);
  }

  #onLook(look: FullOutcome): void {
    this.#lastLook = look;
    const conditions = hostConditions({ ...look, sysctls: this.#options.settings.sysctls });
    const established = countEstablished(look.observed.devices);
    if (established === this.#established && isDeepStrictEqual(conditions, this.#hostConditions)) return;
    this.#established = established; // a tunnel that has come up is news that nobody should wait half a minute for
    this.#hostConditions = conditions;
    this.#status.changed();
  }

  /** Says that the kernel holds the map up to `position`, where that is news. */
  async #acknowledge(position: Position): Promise<void> {
    const { kernel, clock, log } = this.#options;
    const endings = this.#endings.splice(0);
    const failures = this.#failures;
    const said = `${formatPosition(position)} ${failures.join()}`;
    if (endings.length === 0 && said === this.#said) return;
    this.#said = said;
    const atMs = clock.now();
    try {
      const { absent, present } =
        endings.length === 0 ? NOTHING_ENDED : await observeAbsence(kernel, endings, () => clock.now());
      this.#endings.push(...present);
      if (absent.length > 0) await this.#store.sync(); // what is said to be gone must not come back by a power loss
      this.#acknowledger.note({ position, atMs, absent, failures });
    } catch (err) {
      this.#endings.push(...endings); // the next look tries again
      log.error({ err }, "the lanes could not be read to acknowledge a revocation");
    }
  }

  #onInterval(): void {
    this.#subscription.saveIfWanted();
    this.#acknowledger.repeat();
    void this.#resolveControl();
    if (this.#planner.conditions.some(({ type }) => type === "NoOwnKey")) this.#refresh();
  }

  #buildStatus(): GatewayStatus {
    const { settings, clock } = this.#options;
    const { lineage, sequence } = this.#subscription.health.position;
    const clusters = this.#planner.desired?.clusters ?? new Map();
    const devices = this.#lastLook?.observed.devices ?? new Map();
    return create(GatewayStatusSchema, {
      agentVersion: settings.version,
      dataplane: toDataplane(settings.dataplane),
      kernel: settings.kernelRelease,
      lineage,
      sequence,
      sentAt: timestampFromMs(clock.now()),
      links: linkHealth({ clusters, devices, nowMs: clock.now() }),
      conditions: [...this.#conditions()],
      kernelWrites: BigInt(this.#kernelWrites),
      reconciles: BigInt(this.#reconciles),
    });
  }

  /** Those of the way to the hub first: the list is cut where it is too long. */
  #conditions(): readonly ReportedCondition[] {
    const hub = mapConditions({
      health: this.#subscription.health,
      sinceMs: this.#startedMs,
      nowMs: this.#options.clock.now(),
      statementProblem: this.#uplink.problem,
      renewalProblem: this.#renewal.problem,
    });
    return [...hub, ...this.#hostConditions, ...this.#planner.conditions]
      .slice(0, LIMITS.conditions)
      .map((condition) => ({
        type: condition.type,
        subject: condition.subject.slice(0, LIMITS.subject),
        message: condition.message.slice(0, LIMITS.message),
      }));
  }

  #notReady(): string | undefined {
    if (!this.#subscription.confirmed) return "the map is not confirmed yet";
    if (this.#planner.desired === undefined) return "the map lacks mesh, epoch or link policy";
    return this.#lastLook === undefined ? "the kernel was not programmed yet" : undefined;
  }
}

/** What is read and made before the agent is put together. */
interface Parts {
  readonly self: GatewayRef;
  readonly map: RecordMap;
  readonly store: MapStore;
  readonly stored: StoredPositions | undefined;
  readonly own: OwnStatement;
}

const NOTHING_ENDED: Absence = { absent: [], present: [] };
