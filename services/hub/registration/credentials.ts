/** @module What an admitted gateway gets to talk with; short-lived, and of no use without its own private keys. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { GatewayRef } from "@spanwire/core/subjects";
import type { CredentialsSchema, MapStateSchema } from "@spanwire/proto/registration";
import { type CertificateAuthority, GATEWAY_LIFETIME_MS, type GatewayKey } from "../authority/ca.ts";
import type { HubMap } from "../state/mesh-view.ts";
import type { GatewayUsers } from "./gateway-users.ts";

export interface CredentialOptions {
  readonly meshId: string;
  readonly ca: CertificateAuthority;
  readonly users: GatewayUsers;
  /** Raw Ed25519 key of the root authority. */
  readonly authorityKey: Uint8Array;
  /** Where agents find NATS, and the CA of its certificates. */
  readonly nats: { readonly urls: readonly string[]; readonly caPem: string };
}

export type GatewayIdentity = GatewayRef & GatewayKey & { readonly nkey: string };

export async function issueCredentials(
  { meshId, ca, users, authorityKey, nats }: CredentialOptions,
  gateway: GatewayIdentity,
  nowMs: number,
): Promise<MessageInitShape<typeof CredentialsSchema>> {
  const expiresAtMs = nowMs + GATEWAY_LIFETIME_MS;
  return {
    meshId,
    certificatePem: await ca.issueGateway({ ...gateway, nowMs, lifetimeMs: GATEWAY_LIFETIME_MS }),
    caPem: ca.certificatePem,
    authorityKey: new Uint8Array(authorityKey),
    natsUrls: [...nats.urls],
    natsCaPem: nats.caPem,
    natsUserJwt: users.issue(gateway, expiresAtMs),
    expiresAt: timestampFromMs(expiresAtMs),
  };
}

/** What the first snapshot of a fresh agent must come to. */
export function describeMapState({ lineage, sequence, records }: HubMap): MessageInitShape<typeof MapStateSchema> {
  return { lineage, sequence: BigInt(sequence), digest: new Uint8Array(records.digest()) };
}
