/**
 * @module A mesh of as many sites as wanted, one gateway and one prefix each. Identities follow from the name, so that
 * every process makes the same ones.
 */
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Secret } from "@spanwire/core/identity/secret";
import { clusterKey } from "@spanwire/core/records/key";
import { sealRecord } from "@spanwire/core/records/seal";
import type { GatewayIdentity } from "@spanwire/gateway/identity/gateway-identity";
import type { StatementSettings } from "@spanwire/gateway/statement-content";
import type { Authority } from "@spanwire/hub/authority/authority";
import { ClusterKind } from "@spanwire/proto/record";
import { createNkeyPair } from "@spanwire/runtime/crypto/nkey";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createSigner } from "@spanwire/runtime/crypto/signing-key";

export interface Site {
  readonly clusterId: string;
  /** From 0: the number of its overlay block. */
  readonly index: number;
}

export interface KeyedRecord {
  readonly key: string;
  readonly bytes: Uint8Array;
}

export const BASE_PORT = 51_820;
const LEASE_MS = 80 * 86_400_000;

export function madeUpSites(count: number): readonly Site[] {
  return Array.from({ length: count }, (_, index) => ({ clusterId: `site-${String(index).padStart(4, "0")}`, index }));
}

export function identityOf({ clusterId }: Site): GatewayIdentity {
  const privateKey = secretFrom(`identity of ${clusterId}`);
  const nkey = createNkeyPair("user", secretFrom(`nkey of ${clusterId}`));
  return { privateKey, signer: createSigner(privateKey), nkey };
}

/** What the site's gateway is configured to say of itself. */
export function statementSettingsOf({ index }: Site): StatementSettings {
  const host = `203.0.${113 + (index >> 8)}.${index & 255}`;
  return { endpoints: [{ host, basePort: BASE_PORT }], draining: false, dataplane: "kernel", version: "0.1.0" };
}

export async function sealAdmission(site: Site, { mesh, root }: Authority, nowMs: number): Promise<KeyedRecord> {
  const { clusterId, index } = site;
  const { signer, nkey } = identityOf(site);
  const key = clusterKey(clusterId);
  const value = {
    clusterId,
    kind: ClusterKind.ON_PREMISES,
    prefixes: [`10.${index >> 8}.${index & 255}.0/24`],
    overlayIndex: index,
    gateways: [{ ordinal: 0, identityKey: signer.publicKey, incarnation: 1n, nkey: nkey.publicKey }],
    notAfter: timestampFromMs(nowMs + LEASE_MS),
  };
  const body = { case: "admission", value } as const;
  const payload = { key, incarnation: 1n, generation: 1n, issuedAt: timestampFromMs(nowMs), body };
  return { key, bytes: await sealRecord(mesh.meshId, payload, { signer: root, sha256 }) };
}

function secretFrom(text: string): Secret {
  return new Secret(sha256(`spanwire bench: ${text}`));
}
