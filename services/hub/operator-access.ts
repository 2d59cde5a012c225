/** @module The operator's way in: a context file with a certificate, so that the CLI on this machine works at once. */
import type { Clock } from "@spanwire/core/time";
import { writeOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import type { Authority } from "./authority/authority.ts";
import { OPERATOR_LIFETIME_MS } from "./authority/ca.ts";
import { serialOf } from "./operators/operator-record.ts";
import { recordOperator } from "./operators/operator-registry.ts";
import type { RegistryBucket } from "./state/port.ts";

export interface AccessOptions {
  readonly authority: Authority;
  readonly registry: RegistryBucket;
  /** `host:port` of FleetService. */
  readonly address: string;
  readonly path: string;
  readonly clock: Clock;
}

/** Written anew at each start, 0600: with the port of this start and a certificate that is good for a year from it. */
export async function writeOperatorAccess({ authority, registry, address, path, clock }: AccessOptions): Promise<void> {
  const { ca, root, mesh } = authority;
  const local = { name: "local", role: "admin" } as const;
  const nowMs = clock.now();
  const issued = await ca.issueOperator({ ...local, nowMs, lifetimeMs: OPERATOR_LIFETIME_MS });
  const times = { createdAtMs: nowMs, expiresAtMs: nowMs + OPERATOR_LIFETIME_MS };
  await recordOperator(registry, { ...local, serial: serialOf(issued.chainPem), ...times });
  await writeOperatorContext(path, {
    address,
    meshId: mesh.meshId,
    authorityKey: root.publicKey,
    caPem: ca.certificatePem,
    certificatePem: issued.chainPem,
    privateKeyPem: issued.privateKeyPem,
  });
}
