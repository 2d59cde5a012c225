/** @module Who the hub is to Vault: a ServiceAccount of Kubernetes, or an AppRole. */
import { readFile } from "node:fs/promises";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { z } from "zod";
import { refuseExample } from "../refuse-example.ts";
import type { Caller } from "./caller.ts";

export type LoginWay =
  | {
      readonly method: "kubernetes";
      readonly mount: string;
      readonly role: string;
      /** The pod's projected token; read anew each time, because the kubelet replaces it. */
      readonly tokenFile: string;
    }
  | {
      readonly method: "approle";
      readonly mount: string;
      readonly roleId: string;
      /** Read anew each time, so that it can be replaced while the hub runs. */
      readonly secretIdFile: string;
    };

export interface VaultToken {
  readonly secret: Secret;
  readonly lifetimeMs: number;
  readonly isRenewable: boolean;
}

const granted = z.object({
  auth: z.object({ client_token: z.string().min(1), lease_duration: z.number(), renewable: z.boolean() }),
});

/**
 * Logs in. Throws `denied` (`VAULT_LOGIN_REFUSED`, retryable: a person may mend it meanwhile) with what to look at, and as
 * the caller does.
 */
export async function logIn(call: Caller, way: LoginWay): Promise<VaultToken> {
  const path = `auth/${way.mount}/login`;
  const body =
    way.method === "kubernetes"
      ? { role: way.role, jwt: await readCredential(way.tokenFile) }
      : { role_id: refuseExample(way.roleId, "roleId"), secret_id: await readCredential(way.secretIdFile) };
  const answer = await call({ method: "POST", path, body }).catch((error: unknown) => {
    const isRefused = error instanceof SpanwireError && error.reason === "VAULT_DENIED";
    throw isRefused ? loginRefused(way, String(error.cause)) : error;
  });
  if (answer.status !== 200) throw loginRefused(way, answer.errors.join("; ") || `status ${answer.status}`);
  return readGranted(answer.body);
}

/** Of a login or a renewal. */
export function readGranted(body: unknown): VaultToken {
  const { client_token: text, lease_duration: seconds, renewable: isRenewable } = granted.parse(body).auth;
  return { secret: new Secret(Buffer.from(text)), lifetimeMs: seconds * 1_000, isRenewable };
}

async function readCredential(file: string): Promise<string> {
  const text = await readFile(file, "utf8").catch((cause: Error) => {
    const message = `log in to the secret store: ${cause.message}`;
    throw new SpanwireError("denied", message, { cause, reason: "VAULT_LOGIN_REFUSED", retryable: true });
  });
  return refuseExample(text.trim(), file);
}

function loginRefused(way: LoginWay, said: string): SpanwireError {
  const look =
    way.method === "kubernetes"
      ? `look at role "${way.role}" (bao read auth/${way.mount}/role/${way.role}) and at the token in ${way.tokenFile}`
      : `look at roleId, and put a new secret id into ${way.secretIdFile}`;
  const message = `log in to the secret store by ${way.method}: ${said}: ${look}`;
  return new SpanwireError("denied", message, { reason: "VAULT_LOGIN_REFUSED", retryable: true });
}
