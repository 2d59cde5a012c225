/** @module Stop 1 of the data path: RegistrationService, how gateways join, renew and leave. */
import type { KeyObject } from "node:crypto";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Verify } from "@spanwire/core/records/crypto";
import { RegistrationService } from "@spanwire/proto/registration";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import type { CallContext } from "@spanwire/runtime/grpc/context";
import { type BoundService, bindService } from "@spanwire/runtime/grpc/handlers";
import type { RequestValidator } from "@spanwire/runtime/grpc/request-validator";
import type { AuditedCalls, CallAudit } from "../audit/audited-calls.ts";
import type { KeyRing } from "../oidc/issuer-keys.ts";
import { refusal } from "../refusal.ts";
import { issueChallenge } from "./challenge.ts";
import type { CredentialOptions } from "./credentials.ts";
import type { EndOptions } from "./end-gateways.ts";
import { leave } from "./leave.ts";
import { peerName } from "./peer-name.ts";
import { createRateLimiter, type RateLimit } from "./rate-limit.ts";
import { register } from "./register.ts";
import { renew } from "./renew.ts";

export interface ServiceOptions extends EndOptions, CredentialOptions {
  /** Shared by all replicas. */
  readonly nonceKey: KeyObject;
  readonly verify: Verify;
  /** The keys by which workloads' tokens are verified. */
  readonly keyRing: KeyRing;
  /** Holds the proven bodies to their rules. */
  readonly validate: RequestValidator;
  /** How long a new admission is good for; the planner extends it. */
  readonly admissionLeaseMs: number;
  readonly limits?: Partial<RegistrationLimits>;
  readonly calls: Pick<AuditedCalls, "of">;
}

export interface RegistrationLimits {
  /** Calls from one address; several gateways may share one behind a NAT. */
  readonly peer: RateLimit;
  /** Proven calls that are good for one cluster. */
  readonly cluster: RateLimit;
}

/** What the methods work with. */
export interface RegistrationOptions extends Omit<ServiceOptions, "calls"> {
  /** Of this call. */
  readonly audit: CallAudit;
  /** Throws `RATE_LIMITED`. */
  readonly limitCluster: (clusterId: string, nowMs: number) => void;
}

const LIMITS: RegistrationLimits = { peer: { perSecond: 100, burst: 500 }, cluster: { perSecond: 10, burst: 200 } };

export function createRegistrationService(options: ServiceOptions): BoundService {
  const { clock, nonceKey, calls } = options;
  const limits = { ...LIMITS, ...options.limits };
  const peers = createRateLimiter(limits.peer);
  const clusters = createRateLimiter(limits.cluster);
  const limitCluster = (clusterId: string, nowMs: number) => {
    if (clusters.take(clusterId, nowMs)) return;
    throw refusal("RATE_LIMITED", `cluster "${clusterId}" calls too often: try again in a second`);
  };
  const forCall = (context: CallContext): RegistrationOptions => ({
    ...options,
    limitCluster,
    audit: calls.of(context),
  });
  const limitPeer = ({ peer }: CallContext) => {
    if (peers.take(peerName(peer.address), clock.now())) return;
    throw refusal("RATE_LIMITED", "too many calls from your address: try again in a second");
  };

  return bindService(RegistrationService, {
    async challenge(_request, context) {
      limitPeer(context);
      const { nonce, expiresAtMs } = issueChallenge(nonceKey, clock.now(), randomBytes(16));
      return { nonce: new Uint8Array(nonce), expiresAt: timestampFromMs(expiresAtMs) };
    },
    async register(request, context) {
      limitPeer(context);
      return register(forCall(context), request, context.signal);
    },
    async renew(request, context) {
      limitPeer(context);
      return renew(forCall(context), request, context.signal);
    },
    async leave(request, context) {
      limitPeer(context);
      return leave(forCall(context), request, context.signal);
    },
  });
}
