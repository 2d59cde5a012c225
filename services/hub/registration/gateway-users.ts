/** @module The NATS users of gateways, as registration and revocation see them. */
import type { GatewayRef } from "@spanwire/core/subjects";

export interface GatewayUsers {
  /** A user token bound to the nkey, with the allow-list of that gateway. */
  issue(gateway: GatewayRef & { readonly nkey: string }, expiresAtMs: number): string;
  /** Reads the store itself, so that the answer is at least as new as any map that was read before. */
  isBanned(nkey: string): Promise<boolean>;
  /** Revokes the user for ever and closes its connection; idempotent. Resolves when no new connection succeeds. */
  ban(nkey: string): Promise<void>;
}
