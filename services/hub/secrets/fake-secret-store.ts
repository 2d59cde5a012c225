/** @module Secrets in memory, for tests. */
import { Secret } from "@spanwire/core/identity/secret";
import { requireSecretName, type SecretStore } from "./port.ts";

export function createFakeSecretStore(): SecretStore {
  const secrets = new Map<string, Uint8Array>();
  return {
    async read(name) {
      requireSecretName(name);
      const bytes = secrets.get(name);
      return bytes && new Secret(bytes.slice());
    },
    async create(name, secret) {
      requireSecretName(name);
      if (secrets.has(name)) return false;
      secrets.set(name, secret.reveal().slice());
      return true;
    },
    async replace(name, { present, next }) {
      requireSecretName(name);
      const found = secrets.get(name);
      if (found === undefined || !present.equals(new Secret(found))) return false;
      secrets.set(name, next.reveal().slice());
      return true;
    },
  };
}
