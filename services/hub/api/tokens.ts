/** @module Join tokens for operators. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { formatJoinToken } from "@spanwire/core/identity/join-token";
import { clusterKey } from "@spanwire/core/records/key";
import { type FleetService, type TokenInfoSchema, TokenState } from "@spanwire/proto/fleet";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import { refusal } from "../refusal.ts";
import { type TokenRecord, tokenState } from "../registration/token-record.ts";
import { createToken, listTokens, type Now, revokeToken } from "../registration/tokens.ts";
import type { FleetOptions } from "./fleet-service.ts";

const DEFAULT_TTL_MS = 3_600_000;

export function tokenHandlers({
  store,
  map,
  writer,
  clock,
  frame,
  audit,
}: FleetOptions): Pick<Handlers<typeof FleetService>, "createToken" | "listTokens" | "revokeToken"> {
  const now = (): Now => ({ nowMs: clock.now(), lineage: map.lineage });
  return {
    async createToken({ clusterId, ttl, ordinal }, context) {
      const call = audit.calls.of(context);
      call.about({ target: clusterKey(clusterId) });
      const { maxGateways } = writer.registry().mesh;
      if (ordinal !== undefined && ordinal >= maxGateways) {
        const message = `ordinal ${ordinal} of cluster "${clusterId}": this mesh has ordinals 0 to ${maxGateways - 1}`;
        throw refusal("ORDINAL_OUT_OF_RANGE", message);
      }
      const ttlMs = ttl === undefined ? DEFAULT_TTL_MS : durationMs(ttl);
      const made = await createToken(store.registry, { clusterId, ordinal, ttlMs }, { ...now(), frame, randomBytes });
      const { id, expiresAtMs } = made.record;
      call.about({ tokenId: id });
      const after = JSON.stringify({ clusterId, ordinal, expiresAt: new Date(expiresAtMs).toISOString() });
      const message = `for cluster "${clusterId}"`;
      call.changed({ action: "token.create", target: `token.${id}`, message, after });
      const text = Buffer.from(formatJoinToken(made.token).reveal()).toString();
      return { token: text, info: describeToken(made.record, now()) };
    },
    async listTokens() {
      const tokens = await listTokens(store.registry);
      return { tokens: tokens.map((token) => describeToken(token, now())) };
    },
    async revokeToken({ id }, context) {
      const call = audit.calls.of(context);
      const target = `token.${id}`;
      call.about({ target, tokenId: id });
      const nowMs = clock.now();
      const revoked = await revokeToken(store.registry, id, nowMs);
      const { clusterId, ordinal, revokedAtMs } = revoked;
      if (revokedAtMs === nowMs) {
        const before = JSON.stringify({ clusterId, ordinal, claimed: revoked.claim !== undefined });
        call.changed({ action: "token.revoke", target, message: `of cluster "${clusterId}"`, before });
      }
      return { info: describeToken(revoked, now()) };
    },
  };
}

const STATES = {
  unused: TokenState.UNUSED,
  claimed: TokenState.CLAIMED,
  revoked: TokenState.REVOKED,
  expired: TokenState.EXPIRED,
} as const;

function describeToken(token: TokenRecord, now: Now): MessageInitShape<typeof TokenInfoSchema> {
  const { id, clusterId, ordinal, createdAtMs, expiresAtMs } = token;
  return {
    id,
    clusterId,
    ...(ordinal === undefined ? {} : { ordinal }),
    state: STATES[tokenState(token, now)],
    createdAt: timestampFromMs(createdAtMs),
    expiresAt: timestampFromMs(expiresAtMs),
  };
}
