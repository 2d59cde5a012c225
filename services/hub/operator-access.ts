/** @module The operator's way in: a context file with a certificate, so that the CLI on this machine works at once. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock } from "@spanwire/core/time";
import {
  type ByCertificate,
  readOperatorContext,
  writeOperatorContext,
} from "@spanwire/runtime/operator-context/operator-context";
import type { Authority } from "./authority/authority.ts";
import { OPERATOR_LIFETIME_MS } from "./authority/ca.ts";
import { serialOf } from "./operators/operator-record.ts";
import { findOperator, recordOperator } from "./operators/operator-registry.ts";
import type { RegistryBucket } from "./state/port.ts";

export interface AccessOptions {
  readonly authority: Authority;
  readonly registry: RegistryBucket;
  /** `host:port` of FleetService. */
  readonly address: string;
  readonly path: string;
  readonly clock: Clock;
}

/**
 * Written anew at each start, 0600, with the port of this start. The certificate in it stays while it lets in and half
 * of its year is left: a hub that starts often should not fill the list of operators.
 */
export async function writeOperatorAccess(options: AccessOptions): Promise<void> {
  const { authority, address, path } = options;
  const { ca, root, mesh } = authority;
  const place = { address, meshId: mesh.meshId, authorityKey: root.publicKey, caPem: ca.certificatePem };
  await writeOperatorContext(path, { ...place, ...((await findUsable(options)) ?? (await issue(options))) });
}

async function findUsable({ authority, registry, path, clock }: AccessOptions): Promise<ByCertificate | undefined> {
  const present = await readOperatorContext(path).catch((error: unknown) => {
    if (error instanceof SpanwireError) return undefined; // there is none, or it is damaged
    throw error;
  });
  if (present === undefined || !("certificatePem" in present)) return undefined;
  if (present.caPem !== authority.ca.certificatePem) return undefined;
  const { certificatePem, privateKeyPem } = present;
  const known = await findOperator(registry, serialOf(certificatePem));
  const leftMs = (known?.expiresAtMs ?? 0) - clock.now();
  if (known?.revokedAtMs !== undefined || leftMs < OPERATOR_LIFETIME_MS / 2) return undefined;
  return { certificatePem, privateKeyPem };
}

async function issue({ authority: { ca }, registry, clock }: AccessOptions): Promise<ByCertificate> {
  const local = { name: "local", role: "admin" } as const;
  const nowMs = clock.now();
  const { chainPem, privateKeyPem } = await ca.issueOperator({ ...local, nowMs, lifetimeMs: OPERATOR_LIFETIME_MS });
  const times = { createdAtMs: nowMs, expiresAtMs: nowMs + OPERATOR_LIFETIME_MS };
  await recordOperator(registry, { ...local, serial: serialOf(chainPem), ...times });
  return { certificatePem: chainPem, privateKeyPem };
}
