/** @module Where the mesh's keys are: in files of this machine, or in Vault or OpenBao, as the configuration says. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Signer } from "@spanwire/core/records/crypto";
import type { CertificateIssuer } from "../authority/certificate-issuer.ts";
import type { HubCondition } from "../status/hub-condition.ts";
import { openFileSecretStore } from "./file-secret-store.ts";
import type { SecretStore } from "./port.ts";
import { readSecretsConfig, type SecretsSettings } from "./secrets-config.ts";
import type { VaultOptions } from "./vault/open-vault.ts";

export interface Keys {
  readonly store: SecretStore;
  /** The root authority's signer, where its key is not in the store. */
  readonly openRoot?: () => Promise<Signer>;
  /** The CA's issuer, where its key is not in the store. */
  readonly openIssuer?: () => Promise<CertificateIssuer>;
  /** Said when the hub serves: until then each call waits while the store is away, from then on it fails. */
  started(): void;
  /** What operators should know of the store now; empty while it serves. */
  conditions(): readonly HubCondition[];
  /** Resolves when the signal has aborted. */
  readonly done: Promise<void>;
}

export interface KeysConfig {
  /** The hub's directory. */
  readonly dir: string;
  readonly secrets: SecretsSettings;
}

/** Opens them; the directory is made if it is missing. */
export async function openKeys({ dir, secrets }: KeysConfig, options: VaultOptions): Promise<Keys> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const settings = readSecretsConfig(secrets);
  if (settings.type === "vault") {
    const { openVault } = await import("./vault/open-vault.ts"); // with its libraries only where it is used
    return openVault(settings, options);
  }
  const store = await openFileSecretStore(secretsDirectory(dir));
  return { store, started: () => {}, conditions: () => [], done: Promise.resolve() };
}

export function secretsDirectory(dir: string): string {
  return join(dir, "secrets");
}
