/**
 * @module The agent's life, behind ports: records -> wish -> data plane, and what of it is reported.
 *
 * No module state, and no timers but those that something waits for: a thousand agents run in a few processes, each with
 * a connection and a kernel of its own. `main.ts` wires the real ones.
 */
import type { Changed } from "@spanwire/core/desired/compile";
import { clusterKey, gatewayKey } from "@spanwire/core/records/key";
import type { OpenedRecord } from "@spanwire/core/records/open";
import { RecordMap } from "@spanwire/core/records/record-map";
import type { GatewayRef } from "@spanwire/core/subjects";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { endWith } from "@spanwire/runtime/loop/end-with";
import type { AgentOptions, AgentState } from "./agent-options.ts";
import { Connection } from "./connection.ts";
import { Dataplane, type Reported } from "./dataplane/dataplane.ts";
import { networkFacts } from "./dataplane/local-networks.ts";
import { type Observed, observe } from "./dataplane/observe.ts";
import { hasSibling, isAskedToDrain, untilDrained } from "./drain.ts";
import type { EpochKey } from "./identity/wireguard-keys.ts";
import type { Membership } from "./join/membership.ts";
import { type Renewal, startRenewal } from "./join/renewal.ts";
import type { Outlook } from "./liveness/gateway-watch.ts";
import { Prober } from "./liveness/prober.ts";
import { Usage } from "./liveness/usage.ts";
import { controlAddresses } from "./local-facts.ts";
import { changedClusters, clustersOf, type Planned, Planner } from "./planner.ts";
import { findEndings, withoutWanted } from "./report/endings.ts";
import { Paths } from "./report/paths.ts";
import { Reporter } from "./report/reporter.ts";
import { DEFAULT_PAIR_TIMES } from "./rotation/pair.ts";
import { Rotation } from "./rotation/rotation.ts";
import { statementContent } from "./statement-content.ts";
import { loadStoredMap } from "./subscription/load-stored-map.ts";
import { MapStore, type StoredPositions } from "./subscription/map-store.ts";
import { type OwnStatement, openOwnStatement, type StatementContent } from "./subscription/own-statement.ts";
import { Subscription } from "./subscription/subscription.ts";
import { startUplink, type Uplink } from "./subscription/uplink.ts";

export class Agent {
  readonly #options: AgentOptions;
  readonly #self: GatewayRef;
  /** Ends every part when one of them has ended with a bug. */
  readonly #ended = new AbortController();
  readonly #map: RecordMap;
  readonly #planner: Planner;
  readonly #dataplane: Dataplane;
  readonly #prober: Prober;
  readonly #rotation: Rotation;
  readonly #usage = new Usage();
  readonly #paths = new Paths();
  readonly #subscription: Subscription;
  readonly #renewal: Renewal;
  readonly #connection: Connection;
  readonly #uplink: Uplink;
  readonly #reporter: Reporter;
  #keys: readonly EpochKey[] = [];
  /** Of the newest wish. */
  #version = 0;
  #isResolving = false;
  #isLeaving = false;
  #hasRejoined = false;

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
    agent.#useKeys(await agent.#rotation.open(() => observe(options.kernel)));
    agent.#planner.observe(networkFacts(await options.kernel.network.host()));
    // Names take a while, and are resolved when it runs; what needs none is part of the first plan.
    agent.#planner.observe({ control: await controlAddresses(agent.#controlPlaces, async () => []) });
    return agent;
  }

  private constructor(options: AgentOptions, parts: Parts) {
    const { membership, identity, kernel, settings, clock, random, log } = options;
    const { self, map, store, own } = parts;
    const { signal } = this.#ended;
    endWith(options.signal, this.#ended);
    const shared = { self, clock, random, log, signal, nats: () => this.#connection.nats };
    this.#options = { ...options, signal };
    this.#self = self;
    this.#map = map;
    this.#planner = new Planner(map, self, settings, () => ({
      liveness: this.#prober.liveness,
      pairs: this.#rotation.pairs,
    }));
    this.#dataplane = new Dataplane({
      ...shared,
      kernel,
      resolve: options.resolve,
      onOutcome: (outcome) => this.#onOutcome(outcome),
      onFailure: (err, _failure, retryInMs) => log.error({ err, retryInMs }, "the kernel could not be read"),
      beforeLook: () => this.#observeHost(),
      ...(settings.lookEveryMs === undefined ? {} : { everyMs: settings.lookEveryMs }),
    });
    this.#prober = new Prober({
      ...shared,
      open: options.openProbeSocket,
      port: settings.probePort,
      outlook: (gateway) => this.#outlook(gateway),
      onChanged: (gateways) => this.#onSeen(gateways),
    });
    this.#rotation = new Rotation({
      ...shared,
      ...DEFAULT_PAIR_TIMES,
      ...settings.rotation,
      map,
      stateDirectory: options.stateDirectory,
      view: (gateway) => this.#prober.view(gateway),
      onKeys: (keys) => this.#onKeys(keys),
      onPairs: (gateways) => this.#onPairs(gateways),
      onSaying: (gateways) => this.#prober.look(gateways),
      onProgress: () => this.#reporter.changed(),
    });
    this.#subscription = new Subscription({
      ...shared,
      ...parts,
      onAccepted: (records) => this.#onAccepted(records),
      onConfirmed: () => this.#onConfirmed(),
      onLost: () => this.#uplink.wake(),
      onConnected: () => this.#onConnected(),
      onHead: () => this.#reporter.onHead(),
    });
    this.#renewal = startRenewal({
      ...shared,
      stateDirectory: options.stateDirectory,
      membership,
      signer: identity.signer,
      onRenewed: (renewed) => this.#onRenewed(renewed),
      rejoin: options.rejoin,
      onRejoined: () => this.#onRejoined(),
    });
    this.#connection = new Connection({ ...shared, user: identity.nkey, membership: () => this.#renewal.membership });
    this.#uplink = startUplink({
      ...shared,
      own,
      map,
      subscription: this.#subscription,
      content: () => this.#statement(),
    });
    const { incarnation, credentials } = membership;
    this.#reporter = new Reporter({
      ...shared,
      incarnation,
      meshId: credentials.meshId,
      signer: identity.signer,
      kernel,
      settings,
      wish: () => this.#planner,
      paths: () => this.#paths,
      probes: () => this.#prober,
      hub: () => ({
        health: this.#subscription.health,
        statementProblem: this.#uplink.problem,
        renewalProblem: this.#renewal.problem,
      }),
      rotation: () => this.#rotation.progress(),
      sync: () => store.sync(),
      onInterval: () => this.#onInterval(),
    });
  }

  /**
   * Resolves when the signal has aborted and everything is written down, or when the gateway has joined again: another
   * agent is then to be opened with the new membership. Rejects with the error of a bug.
   */
  async run(): Promise<void> {
    if (this.#subscription.confirmed) this.#plan("all");
    else this.#confirm();
    void this.#resolveControl();
    const parts = [
      this.#dataplane.run(),
      this.#prober.run(),
      this.#rotation.run(),
      this.#subscription.done,
      this.#renewal.done,
      this.#uplink.done,
      this.#reporter.done,
      this.#connection.run((nats) => this.#subscription.attach(nats)),
    ];
    try {
      await Promise.all(parts);
    } finally {
      this.#ended.abort();
      await Promise.allSettled(parts);
      await this.#subscription.close();
    }
  }

  /**
   * Says that this gateway is about to go, and resolves when the others have moved what they send to another gateway of
   * this cluster: at once where there is none, after 10 s whatever still comes. It drains until it is started again.
   */
  async drain(): Promise<void> {
    const { kernel, clock, log, signal } = this.#options;
    if (!hasSibling(this.#map, this.#self)) return;
    this.#isLeaving = true;
    this.#sayState();
    const links = this.#planner.desired?.base.links ?? [];
    const lanes = links.filter(({ kind }) => kind === "wireguard").map(({ name }) => name);
    const probesReceived = () => this.#prober.counters.received;
    const isDrained = await untilDrained({ wireguard: kernel.wireguard, lanes, probesReceived, clock, signal });
    log.info({ isDrained }, isDrained ? "the others send by other gateways" : "others still send to this gateway");
  }

  get hasRejoined(): boolean {
    return this.#hasRejoined;
  }

  get state(): AgentState {
    return {
      position: this.#subscription.position,
      records: this.#map.size,
      connected: this.#connection.isOpen,
      reconciles: this.#reporter.reconciles,
      kernelWrites: this.#reporter.kernelWrites,
      verdicts: this.#prober.verdicts,
      probes: this.#prober.counters,
      paths: [...this.#paths.all()],
      failovers: this.#paths.failovers,
      conditions: this.#reporter.conditions,
      notReady: this.#notReady(),
    };
  }

  /** A map that was never shown to be the hub's: what the hub said last over TLS decides, and it may say so anew. */
  #confirm(): void {
    this.#subscription.told(this.#renewal.membership.mapState);
    if (this.#map.size > 0) this.#renewal.now(); // it was confirmed once, and what was stored of it is damaged
  }

  #onRenewed(renewed: Membership): void {
    this.#subscription.told(renewed.mapState);
    this.#connection.follow();
  }

  /** Incarnation and ordinal may be others now: everything here began with the former ones. */
  #onRejoined(): void {
    this.#hasRejoined = true;
    this.#ended.abort();
  }

  #onConnected(): void {
    this.#uplink.wake();
    this.#reporter.connected();
  }

  #onAccepted(records: readonly OpenedRecord[]): void {
    const endings = findEndings(records, this.#planner.desired);
    this.#plan(changedClusters(records));
    this.#reporter.end(endings.map((ending) => withoutWanted(ending, this.#planner.desired)));
    const { clusterId, ordinal } = this.#self;
    if (records.some(({ key }) => key === gatewayKey(clusterId, ordinal))) this.#uplink.wake();
    if (records.some(({ key }) => key === clusterKey(clusterId))) this.#sayState();
  }

  #onConfirmed(): void {
    this.#plan("all");
    this.#uplink.wake();
  }

  /** Other lanes, and another statement. */
  #onKeys(keys: readonly EpochKey[]): void {
    this.#useKeys(keys);
    this.#plan("all");
    this.#uplink.wake();
  }

  #useKeys(keys: readonly EpochKey[]): void {
    this.#keys = keys;
    this.#planner.observe({ keys });
  }

  #plan(changed: Changed): void {
    if (!this.#subscription.confirmed) return;
    const planned = this.#planner.plan(changed);
    if (planned !== undefined) this.#want(planned, changed);
  }

  /** `asked` is what the plan was asked to look at. */
  #want(planned: Planned, asked: Changed): void {
    this.#version = this.#dataplane.want(planned.compiled);
    const isMoved = this.#paths.want(planned.compiled, this.#options.clock.now());
    if (planned.conditionsChanged || isMoved) this.#reporter.changed();
    this.#usage.want(planned.compiled);
    this.#prober.want(planned.compiled);
    this.#rotation.take(planned.compiled, asked);
  }

  /** What is seen of these gateways is another than before: the kernel follows without the hub. */
  #onSeen(gateways: ReadonlySet<string>): void {
    this.#rotation.look(gateways);
    if (!this.#subscription.confirmed) return;
    const clusters = clustersOf(gateways);
    const planned = this.#planner.plan(clusters);
    if (planned !== undefined && planned.compiled.changed.size > 0) this.#want(planned, clusters);
  }

  /** The rotation has come further with these gateways; gives the version of the wish that takes it in. */
  #onPairs(gateways: ReadonlySet<string>): number {
    this.#plan(clustersOf(gateways));
    return this.#version;
  }

  /** Statement and probes say whether we drain. */
  #sayState(): void {
    this.#uplink.wake();
    this.#prober.look();
  }

  get #isDraining(): boolean {
    return this.#isLeaving || this.#options.settings.draining || isAskedToDrain(this.#map, this.#self);
  }

  #outlook(gateway: string): Outlook {
    const { isRotating, sendsOn, generation } = this.#rotation.saying(gateway);
    const use = { ...this.#usage.of(gateway), isRotating };
    return { use, isDraining: this.#isDraining, sendsOn, generation };
  }

  #onOutcome(outcome: Reported): void {
    if ("observed" in outcome) this.#lookAtUsage(outcome.observed.devices);
    // Whether peers are there is shown by probes; where it sends, by this alone.
    const sendsAsWanted = outcome.failures.every(({ change }) => change.kind !== "replace-nexthop");
    if (sendsAsWanted) this.#rotation.applied(outcome.version);
    this.#reporter.onOutcome(outcome, outcome.version === this.#version ? this.#subscription.position : undefined);
  }

  #lookAtUsage(devices: Observed["devices"]): void {
    const probes = (gateway: string) => this.#prober.probes(gateway);
    this.#prober.look(this.#usage.look({ devices, probes, nowMs: this.#options.clock.elapsed() }));
  }

  async #observeHost(): Promise<void> {
    const facts = networkFacts(await this.#options.kernel.network.host());
    if (this.#planner.observe(facts)) this.#plan("all");
  }

  get #controlPlaces(): readonly string[] {
    const { hubAddress, credentials } = this.#renewal.membership;
    return [hubAddress, ...credentials.natsUrls];
  }

  /** In the background: a name server may be slow, and nothing waits for it. */
  async #resolveControl(): Promise<void> {
    if (this.#isResolving) return;
    this.#isResolving = true;
    const control = await controlAddresses(this.#controlPlaces, this.#options.resolve);
    this.#isResolving = false;
    if (control.length > 0 && this.#planner.observe({ control })) this.#plan("all");
  }

  /** Without a key nobody could do anything with it. */
  async #statement(): Promise<StatementContent | undefined> {
    if (!this.#subscription.confirmed || this.#keys.length === 0) return undefined;
    return statementContent({ ...this.#options.settings, draining: this.#isDraining }, this.#keys);
  }

  #onInterval(): void {
    this.#subscription.saveIfWanted();
    void this.#resolveControl();
  }

  #notReady(): string | undefined {
    if (!this.#subscription.confirmed) return "the map is not confirmed yet";
    if (this.#planner.desired === undefined) return "the map lacks mesh, epoch or link policy";
    return !this.#reporter.hasLooked ? "the kernel was not programmed yet" : undefined;
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
