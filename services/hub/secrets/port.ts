/** @module Where the hub's private keys are kept. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Secret } from "@spanwire/core/identity/secret";

/**
 * Secrets by name. Every write is compare-and-set: nobody replaces what he has not read, and nothing is made twice.
 * Throws `unavailable` (retryable) while the store is away, and `corrupt` for what is there and cannot be read: that must
 * never be taken for a first start.
 */
export interface SecretStore {
  /** Undefined when nothing was ever stored under the name. */
  read(name: string): Promise<Secret | undefined>;
  /** Stores under a name that holds nothing; false when something is there, which stays. */
  create(name: string, secret: Secret): Promise<boolean>;
  /**
   * Puts `next` in the place of `present`; false when something else is there by now, or nothing, and then it stays so.
   * Where the answer was lost on its way, false may also mean that it is done: read again.
   */
  replace(name: string, change: { readonly present: Secret; readonly next: Secret }): Promise<boolean>;
}

/** Gives the secret of that name, made on first use; several hubs at once get the same one. */
export async function ensureSecret(store: SecretStore, name: string, make: () => Promise<Secret>): Promise<Secret> {
  const present = await store.read(name);
  if (present !== undefined) return present;
  const made = await make();
  if (await store.create(name, made)) return made;
  const others = await store.read(name);
  if (others === undefined) throw new SpanwireError("unavailable", `secret "${name}": was there and is not any more`);
  return others;
}

/** Throws `invalid` for a name that some store could not hold. */
export function requireSecretName(name: string): void {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
    throw new SpanwireError("invalid", `secret "${name}": the name is not words of a-z 0-9 joined by hyphens`);
  }
}
