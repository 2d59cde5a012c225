/** @module Stop 9: outcomes of the data plane -> acknowledgements and status. */
import { isDeepStrictEqual } from "node:util";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { NatsConnection } from "@nats-io/transport-node";
import type { Condition } from "@spanwire/core/desired/condition";
import type { Desired } from "@spanwire/core/desired/desired";
import type { Signer } from "@spanwire/core/records/crypto";
import type { GatewayRef } from "@spanwire/core/subjects";
import type { Clock, Random } from "@spanwire/core/time";
import { type GatewayStatus, GatewayStatusSchema, type RotationProgressSchema } from "@spanwire/proto/agent";
import type { Logger } from "@spanwire/runtime/log/logger";
import { type HostCondition, hostConditions } from "../dataplane/conditions.ts";
import type { Looked, Reported } from "../dataplane/dataplane.ts";
import type { SysctlFinding } from "../kernel/capability.ts";
import { describeChange } from "../kernel/describe.ts";
import type { Kernel } from "../kernel/port.ts";
import { type StatementSettings, toDataplane } from "../statement-content.ts";
import { formatPosition, type Position } from "../subscription/position.ts";
import { type Acknowledger, startAcknowledger } from "./acknowledger.ts";
import { type Absence, type Ending, observeAbsence } from "./endings.ts";
import { countEstablished, healthOf, type LaneHealth, linkReport } from "./link-health.ts";
import { type HubFacts, mapConditions, type ReportedCondition } from "./map-conditions.ts";
import { pathReport } from "./path-health.ts";
import type { Paths } from "./paths.ts";
import { type ProbeFacts, probeConditions } from "./probe-conditions.ts";
import { type StatusReports, startStatusReports } from "./status-reports.ts";

export interface ReporterSettings extends Pick<StatementSettings, "dataplane" | "version"> {
  /** `uname -r`. */
  readonly kernelRelease: string;
  /** What only a sysctl can set, and is not set. */
  readonly sysctls: readonly SysctlFinding[];
  /** 30 s if absent. */
  readonly statusEveryMs?: number;
}

export interface ReporterOptions {
  readonly self: GatewayRef;
  readonly incarnation: bigint;
  readonly meshId: string;
  readonly signer: Signer;
  readonly kernel: Kernel;
  readonly settings: ReporterSettings;
  /** The connection, once there is one. */
  readonly nats: () => Pick<NatsConnection, "publish"> | undefined;
  /** What was wanted last, and what its makers want known. */
  readonly wish: () => { readonly desired: Desired | undefined; readonly conditions: readonly Condition[] };
  /** Which gateways carry what we send. */
  readonly paths: () => Pick<Paths, "all" | "failovers">;
  readonly probes: () => ProbeFacts;
  /** How the map and the way to the hub are. */
  readonly hub: () => Omit<HubFacts, "sinceMs" | "nowMs">;
  /** How far the rotation is. */
  readonly rotation: () => MessageInitShape<typeof RotationProgressSchema>;
  /** Resolves when every record taken in is on the medium. */
  readonly sync: () => Promise<void>;
  /** The agent's housekeeping, at each status interval. */
  readonly onInterval: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/** As the contract limits a status. */
const LIMITS = { conditions: 256, subject: 256, message: 1_024 };
const NOTHING_ENDED: Absence = { absent: [], present: [] };

export class Reporter {
  readonly #options: ReporterOptions;
  readonly #sinceMs: number;
  readonly #acknowledger: Acknowledger;
  readonly #status: StatusReports;
  /** Of the last look; what else it saw is 2 kB for each peer. */
  #lanes: readonly LaneHealth[] | undefined;
  #hostConditions: readonly HostCondition[] = [];
  /** Tunnels that had a handshake when we last looked. */
  #established = 0;
  #reconciles = 0;
  #kernelWrites = 0;
  #failures: readonly string[] = [];
  /** Tombstones whose peers no dump has shown absent yet. */
  #endings: Ending[] = [];
  /** The last acknowledgement, as text. */
  #said = "";

  constructor(options: ReporterOptions) {
    this.#options = options;
    this.#sinceMs = options.clock.now();
    this.#acknowledger = startAcknowledger(options);
    this.#status = startStatusReports({
      ...options,
      build: () => this.#buildStatus(),
      onInterval: () => {
        this.#acknowledger.repeat();
        options.onInterval();
      },
      ...(options.settings.statusEveryMs === undefined ? {} : { intervalMs: options.settings.statusEveryMs }),
    });
  }

  /** Resolves when the signal has aborted; rejects with the error of a bug. */
  get done(): Promise<unknown> {
    return Promise.all([this.#acknowledger.done, this.#status.done]);
  }

  /** Whether the whole kernel was looked at since the start. */
  get hasLooked(): boolean {
    return this.#lanes !== undefined;
  }

  get reconciles(): number {
    return this.#reconciles;
  }

  get kernelWrites(): number {
    return this.#kernelWrites;
  }

  /** Those of the way to the hub first: the list is cut where it is too long. */
  get conditions(): readonly ReportedCondition[] {
    const { hub, wish, probes, clock } = this.#options;
    const ofHub = mapConditions({ ...hub(), sinceMs: this.#sinceMs, nowMs: clock.now() });
    return [...ofHub, ...this.#hostConditions, ...wish().conditions, ...probeConditions(probes())]
      .slice(0, LIMITS.conditions)
      .map((condition) => ({
        type: condition.type,
        subject: condition.subject.slice(0, LIMITS.subject),
        message: condition.message.slice(0, LIMITS.message),
      }));
  }

  /** Says soon that something in the status has changed. */
  changed(): void {
    this.#status.changed();
  }

  /** A head came: from the hub to all gateways at once. */
  onHead(): void {
    this.#status.onHead();
  }

  /** The connection is there, or back. */
  connected(): void {
    this.#acknowledger.connected();
    this.#status.changed();
  }

  /** Takes tombstones whose peers are to be shown absent. */
  end(endings: readonly Ending[]): void {
    this.#endings.push(...endings);
  }

  /** `upTo` is the position of the map that the outcome took in; undefined while a further step is on its way. */
  onOutcome(outcome: Reported, upTo: Position | undefined): void {
    const { log } = this.#options;
    const { done, path, repaired } = outcome;
    const [first] = done;
    if (first !== undefined) {
      const facts = { path, repaired, changes: done.length, first: describeChange(first) };
      log.info(facts, "programmed the kernel");
    }
    const failures = outcome.failures.map(({ error }) => error.message);
    const isNews = failures.length > 0 && failures.join() !== this.#failures.join();
    if (isNews) log.error({ failures }, "the kernel refuses changes");
    this.#failures = failures;
    this.#reconciles += 1;
    this.#kernelWrites += done.length + failures.length;
    if ("observed" in outcome) this.#onLook(outcome);
    if (upTo !== undefined) void this.#acknowledge(upTo);
  }

  #onLook(look: Looked): void {
    this.#lanes = healthOf(look.observed.devices);
    const conditions = hostConditions({ ...look, sysctls: this.#options.settings.sysctls });
    const established = countEstablished(this.#lanes);
    if (established === this.#established && isDeepStrictEqual(conditions, this.#hostConditions)) return;
    this.#established = established; // a tunnel that has come up is news that nobody should wait half a minute for
    this.#hostConditions = conditions;
    this.#status.changed();
  }

  /** Says that the kernel holds the map up to `position`, where that is news. */
  async #acknowledge(position: Position): Promise<void> {
    const { clock, log, sync } = this.#options;
    const endings = this.#endings.splice(0);
    const failures = this.#failures;
    const said = `${formatPosition(position)} ${failures.join()}`;
    if (endings.length === 0 && said === this.#said) return;
    const atMs = clock.now();
    try {
      const { absent, present } = await this.#observe(endings);
      this.#endings.push(...present); // the next outcome tries again
      if (absent.length > 0) await sync(); // what is said to be gone must not come back by a power loss
      const left = present.map(({ key }) => `a lane still has a peer of "${key}"`);
      this.#acknowledger.note({ position, atMs, absent, failures: [...failures, ...left] });
      this.#said = said;
    } catch (err) {
      this.#endings.push(...endings);
      log.error({ err }, "the lanes could not be read to acknowledge a revocation");
    }
  }

  async #observe(endings: readonly Ending[]): Promise<Absence> {
    const { kernel, clock } = this.#options;
    return endings.length === 0 ? NOTHING_ENDED : observeAbsence(kernel, endings, () => clock.now());
  }

  #buildStatus(): GatewayStatus {
    const { settings, clock, hub, wish, paths } = this.#options;
    const { lineage, sequence } = hub().health.position;
    const { failovers } = paths();
    const clusters = wish().desired?.clusters ?? new Map();
    return create(GatewayStatusSchema, {
      agentVersion: settings.version,
      dataplane: toDataplane(settings.dataplane),
      kernel: settings.kernelRelease,
      lineage,
      sequence,
      sentAt: timestampFromMs(clock.now()),
      ...linkReport({ clusters, lanes: this.#lanes ?? [], nowMs: clock.now() }),
      conditions: [...this.conditions],
      rotation: this.#options.rotation(),
      kernelWrites: BigInt(this.#kernelWrites),
      reconciles: BigInt(this.#reconciles),
      paths: pathReport(paths().all()),
      failovers: BigInt(failovers),
    });
  }
}
