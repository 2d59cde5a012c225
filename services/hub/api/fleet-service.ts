/** @module FleetService: what operators may ask and do. */
import { FleetService } from "@spanwire/proto/fleet";
import { type BoundService, bindService } from "@spanwire/runtime/grpc/handlers";
import type { Audit } from "../audit/open-audit.ts";
import type { CertificateAuthority } from "../authority/ca.ts";
import type { EndOptions } from "../registration/end-gateways.ts";
import type { TokenFrame } from "../registration/tokens.ts";
import type { Connections } from "../status/connections.ts";
import type { HubCondition } from "../status/hub-condition.ts";
import type { ReportView } from "../status/report-view.ts";
import type { ReadProgress } from "../status/rotation-progress.ts";
import { auditHandlers } from "./audit.ts";
import { clusterHandlers } from "./clusters.ts";
import { drainingHandlers } from "./draining.ts";
import { exportHandlers } from "./export.ts";
import { inviteHandlers } from "./invites.ts";
import { linkPolicyHandlers } from "./link-policy.ts";
import { operatorHandlers } from "./operators.ts";
import { rotationHandlers } from "./rotation.ts";
import { statusHandlers } from "./status.ts";
import { tokenHandlers } from "./tokens.ts";

export interface FleetOptions extends EndOptions {
  readonly ca: Pick<CertificateAuthority, "certifyOperator">;
  readonly reports: ReportView;
  /** Whose connections to NATS have ended. */
  readonly gateways: Pick<Connections, "goneAtMs" | "changes">;
  readonly readProgress: ReadProgress;
  /** A gateway of which nobody has heard anything for so long is not waited for by a rotation. */
  readonly absentAfterMs: number;
  /** What every join token says of this hub. */
  readonly frame: TokenFrame;
  /** What the hub says of itself at this moment. */
  readonly hubConditions: () => readonly HubCondition[];
  readonly version: string;
  readonly natsVersion: () => string;
  readonly isLeader: () => boolean;
  readonly audit: Pick<Audit, "calls" | "read">;
}

export function createFleetService(options: FleetOptions): BoundService {
  const { version, natsVersion, meshId, isLeader } = options;
  return bindService(FleetService, {
    getVersion: async () => ({ version, natsVersion: natsVersion(), meshId, leader: isLeader() }),
    ...tokenHandlers(options),
    ...clusterHandlers(options),
    ...drainingHandlers(options),
    ...linkPolicyHandlers(options),
    ...rotationHandlers(options),
    ...statusHandlers(options),
    ...inviteHandlers(options),
    ...operatorHandlers(options),
    ...exportHandlers(options),
    ...auditHandlers(options),
  });
}
