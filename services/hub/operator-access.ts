/** @module The operator's way in: a context file with a certificate, so that the CLI on this machine works at once. */
import type { Clock } from "@spanwire/core/time";
import { writeOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import type { Authority } from "./authority/authority.ts";
import { OPERATOR_LIFETIME_MS } from "./authority/ca.ts";

export interface AccessOptions {
  readonly authority: Authority;
  /** `host:port` of FleetService. */
  readonly address: string;
  readonly path: string;
  readonly clock: Clock;
}

/** Written anew at each start, 0600: with the port of this start and a certificate that is good for a year from it. */
export async function writeOperatorAccess({ authority, address, path, clock }: AccessOptions): Promise<void> {
  const { ca, root, mesh } = authority;
  const issued = await ca.issueOperator({
    name: "local",
    role: "admin",
    nowMs: clock.now(),
    lifetimeMs: OPERATOR_LIFETIME_MS,
  });
  await writeOperatorContext(path, {
    address,
    meshId: mesh.meshId,
    authorityKey: root.publicKey,
    caPem: ca.certificatePem,
    certificatePem: issued.chainPem,
    privateKeyPem: issued.privateKeyPem,
  });
}
