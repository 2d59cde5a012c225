/** @module What operators are told of the secret store. Pure. */
import type { HubCondition } from "../../status/hub-condition.ts";
import type { Outage } from "./breaker.ts";
import type { TransitFacts } from "./transit-signer.ts";
import type { Waiting } from "./waiting.ts";

export interface VaultFacts {
  readonly address: string;
  readonly outage: Outage | undefined;
  readonly waiting: readonly Waiting[];
  /** Of the root authority's key, as last seen; undefined before it was. */
  readonly key: (TransitFacts & { readonly name: string; readonly signingVersion: number }) | undefined;
}

/** Empty while all is well. */
export function describeVault({ address, outage, waiting, key }: VaultFacts): readonly HubCondition[] {
  const conditions: HubCondition[] = [];
  if (outage !== undefined) {
    const message = `${outage.error.message}; since ${timeOf(outage.sinceMs)}; waiting: ${listPurposes(waiting)}`;
    conditions.push({ type: "SecretStoreAway", subject: address, message });
  } else {
    for (const { purpose, sinceMs, error } of waiting) {
      const message = `${purpose} wait since ${timeOf(sinceMs)}: ${error.message}`;
      conditions.push({ type: "SignatureWaits", subject: purpose, message });
    }
  }
  if (key !== undefined && key.latestVersion > key.signingVersion) {
    const message = `transit key "${key.name}" was rotated to version ${key.latestVersion}; the mesh goes on with version ${key.signingVersion}, which its agents have pinned: keep that version`;
    conditions.push({ type: "SigningKeyRotated", subject: key.name, message });
  }
  return conditions;
}

function listPurposes(waiting: readonly Waiting[]): string {
  if (waiting.length === 0) return "nothing so far";
  return waiting.map(({ purpose, times }) => `${purpose} (asked for ${times}x)`).join(", ");
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
