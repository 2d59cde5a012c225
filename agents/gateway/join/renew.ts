/** @module Renew and Leave: calls of an admitted gateway, proven by its identity key alone. */
import { create, toBinary } from "@bufbuild/protobuf";
import { SpanwireError } from "@spanwire/core/errors";
import type { Signer } from "@spanwire/core/records/crypto";
import { equalBytes } from "@spanwire/core/records/digest";
import { RegistrationService, RenewalSchema } from "@spanwire/proto/registration";
import { encodeEd25519Request } from "@spanwire/runtime/crypto/certificate-request";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient, type ServiceClient } from "@spanwire/runtime/grpc/client";
import type { Membership } from "./membership.ts";
import { type ProvenRequest, prove } from "./proof.ts";

export interface CallOptions {
  readonly membership: Membership;
  readonly signer: Signer;
  readonly signal: AbortSignal;
}

const TIMEOUT_MS = 15_000;

/**
 * Fetches fresh credentials; works with expired ones. Throws the hub's refusal, `denied` if the hub answers with
 * another authority than the pinned one, `unavailable` (retryable) while the hub is away.
 */
export async function renew(options: CallOptions & { readonly nowMs: () => number }): Promise<Membership> {
  const { membership, nowMs } = options;
  using hub = openHub(membership);
  const request = await proveRenewal(hub.client, "Renew", options);
  const { credentials, mapState } = await hub.client.renew(request, callOptions(options));
  if (credentials === undefined || mapState === undefined) {
    throw new SpanwireError("unavailable", `hub at ${membership.hubAddress}: its answer to Renew is incomplete`);
  }
  if (!equalBytes(credentials.authorityKey, membership.credentials.authorityKey)) {
    const message = `hub at ${membership.hubAddress}: answers for another authority than the one this gateway joined; nothing was changed`;
    throw new SpanwireError("denied", message, { reason: "AUTHORITY_MISMATCH" });
  }
  return { ...membership, credentials, mapState, receivedAtMs: nowMs() };
}

/** Ends this gateway at the hub: its statement gets a tombstone, its credentials are revoked. */
export async function leave(options: CallOptions): Promise<void> {
  using hub = openHub(options.membership);
  await hub.client.leave(await proveRenewal(hub.client, "Leave", options), callOptions(options));
}

function openHub({ hubAddress, credentials }: Membership) {
  const channel = openChannel({ address: hubAddress, tls: { caPem: credentials.caPem } });
  return { client: createClient(RegistrationService, channel), [Symbol.dispose]: () => channel.close() };
}

/** The body of Leave is that of Renew; the method's name is part of the proof. */
async function proveRenewal(
  client: ServiceClient<typeof RegistrationService>,
  method: "Renew" | "Leave",
  options: CallOptions,
): Promise<ProvenRequest> {
  const { clusterId, ordinal } = options.membership;
  const certificateRequest = await encodeEd25519Request(options.signer);
  const body = toBinary(RenewalSchema, create(RenewalSchema, { clusterId, ordinal, certificateRequest }));
  return prove(client, method, body, { ...callOptions(options), signer: options.signer });
}

function callOptions({ signal }: CallOptions) {
  return { timeoutMs: TIMEOUT_MS, signal };
}
