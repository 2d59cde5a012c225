/** @module What an agent is given, and what it shows of itself. */
import type { Verdict } from "@spanwire/core/liveness/verdict";
import type { Verify } from "@spanwire/core/records/crypto";
import type { Clock, Random } from "@spanwire/core/time";
import type { Logger } from "@spanwire/runtime/log/logger";
import type { GatewayIdentity } from "./identity/gateway-identity.ts";
import type { Membership } from "./join/membership.ts";
import type { Kernel } from "./kernel/port.ts";
import type { OpenProbeSocket } from "./liveness/probe-socket.ts";
import type { ProbeCounters } from "./liveness/prober.ts";
import type { DataplaneSettings, Resolve } from "./local-facts.ts";
import type { ReportedCondition } from "./report/map-conditions.ts";
import type { Path } from "./report/paths.ts";
import type { ReporterSettings } from "./report/reporter.ts";
import type { PairTimes } from "./rotation/pair.ts";
import type { StatementSettings } from "./statement-content.ts";
import type { Position } from "./subscription/position.ts";

export interface AgentSettings extends StatementSettings, DataplaneSettings, ReporterSettings {
  /** How often the whole kernel is looked at although nothing has happened; 5 s if absent. */
  readonly lookEveryMs?: number;
  /** UDP, the same at every gateway of the mesh. */
  readonly probePort: number;
  readonly rotation?: PairTimes;
}

export interface AgentOptions {
  readonly stateDirectory: string;
  readonly membership: Membership;
  readonly identity: GatewayIdentity;
  readonly kernel: Kernel;
  readonly openProbeSocket: OpenProbeSocket;
  readonly settings: AgentSettings;
  /** Agents of one process may share one, with the keys it has imported. */
  readonly verify: Verify;
  readonly resolve: Resolve;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  /** Joins once more when the hub has forgotten this gateway; absent where only an operator can help. */
  readonly rejoin?: (() => Promise<Membership>) | undefined;
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
  /** Remote gateways by what is seen of them. */
  readonly verdicts: ReadonlyMap<Verdict, number>;
  readonly probes: ProbeCounters;
  /** To the remote clusters that have several gateways. */
  readonly paths: readonly Path[];
  readonly failovers: number;
  readonly conditions: readonly ReportedCondition[];
  /** What keeps this gateway from its work; undefined when nothing does. */
  readonly notReady: string | undefined;
}
