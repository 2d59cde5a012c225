/** @module Turns what lets us in into a membership: first contact by the pin, then a verified connection, then Register. */
import { create, toBinary } from "@bufbuild/protobuf";
import { SpanwireError } from "@spanwire/core/errors";
import { equalBytes } from "@spanwire/core/records/digest";
import type { ClusterKind } from "@spanwire/proto/record";
import { RegistrationSchema, RegistrationService } from "@spanwire/proto/registration";
import { encodeEd25519Request } from "@spanwire/runtime/crypto/certificate-request";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient } from "@spanwire/runtime/grpc/client";
import { fetchPinnedChain } from "@spanwire/runtime/grpc/pin";
import type { GatewayIdentity } from "../identity/gateway-identity.ts";
import { type Membership, toMembership } from "./membership.ts";
import { prove } from "./proof.ts";
import type { WayIn } from "./way-in.ts";

/** What the cluster asks for; the hub decides. */
export interface Wish {
  readonly kind: ClusterKind;
  /** Canonical; empty for a further gateway of a cluster. */
  readonly prefixes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
  /** The ordinal to take, or to take over after a lost disk; undefined takes the lowest free one. */
  readonly ordinal: number | undefined;
}

export interface RegisterOptions {
  readonly way: WayIn;
  readonly identity: GatewayIdentity;
  readonly wish: Wish;
  readonly nowMs: () => number;
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 15_000;

/**
 * Registers once. Safe to repeat with the same identity: a lost answer is given again. A token goes only over the
 * second connection, whose certificate was verified with the pinned CA. Throws the hub's refusal, `denied`
 * for a wrong pin, `unavailable` (retryable) while the hub is away.
 */
export async function register(options: RegisterOptions): Promise<Membership> {
  const { way, identity, nowMs, signal } = options;
  const { hubAddress, clusterId, caSpkiSha256, authoritySha256 } = way.hub;
  const caPem = await fetchPinnedChain({ address: hubAddress, spkiSha256: caSpkiSha256, signal });
  using channel = openChannel({ address: hubAddress, tls: { caPem } });
  const client = createClient(RegistrationService, channel);
  const call = { timeoutMs: TIMEOUT_MS, signal };
  const body = await encodeRegistration(options);
  const request = await prove(client, "Register", body, { ...call, signer: identity.signer });
  const membership = toMembership(await client.register(request, call), {
    clusterId,
    hubAddress,
    receivedAtMs: nowMs(),
  });
  if (!equalBytes(sha256(membership.credentials.authorityKey), authoritySha256)) {
    const message = `hub at ${hubAddress}: its authority key is not the one that the token or invite names: ask whoever made it`;
    throw new SpanwireError("denied", message, { reason: "AUTHORITY_MISMATCH" });
  }
  return membership;
}

/** The same bytes for the same wish and token, so that a retry is the same request. */
async function encodeRegistration({ way, identity, wish }: RegisterOptions): Promise<Uint8Array> {
  const { nkey, signer } = identity;
  const { kind, ordinal } = wish;
  const labels = Object.fromEntries(Object.entries(wish.labels).sort(([a], [b]) => (a < b ? -1 : 1)));
  return toBinary(
    RegistrationSchema,
    create(RegistrationSchema, {
      ...(await way.show()),
      clusterId: way.hub.clusterId,
      kind,
      prefixes: [...wish.prefixes].sort(),
      labels,
      ...(ordinal === undefined ? {} : { ordinal }),
      nkey: nkey.publicKey,
      certificateRequest: await encodeEd25519Request(signer),
    }),
  );
}
