/** @module One request of Vault's HTTP API, by node-vault: answers as values, failures as ours. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Secret } from "@spanwire/core/identity/secret";
import createNodeVault from "node-vault";
import { z } from "zod";
import type { Transport } from "./transport.ts";

export interface VaultRequest {
  readonly method: "GET" | "POST";
  /** "transit/sign/root", without the version of the API. */
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

export interface VaultResponse {
  /** 200, 204, 400 or 404: what these mean depends on what was asked. */
  readonly status: number;
  readonly body: unknown;
  /** What the server says against it. */
  readonly errors: readonly string[];
}

export interface VaultClient {
  readonly address: string;
  /**
   * Sends once. Throws `unavailable` with a reason: `VAULT_UNREACHABLE`, `VAULT_SEALED`, `VAULT_AWAY` (somebody answers for
   * it and says so), `VAULT_FAILED` (status 500); `denied` (`VAULT_DENIED`, the server's words as its cause) for a token that
   * may not or is no more;
   * the signal's reason when it aborts.
   */
  send(request: VaultRequest, token: Secret | undefined, signal: AbortSignal): Promise<VaultResponse>;
}

export interface ClientOptions {
  /** "https://bao.example:8200". */
  readonly address: string;
  readonly namespace: string | undefined;
  readonly transport: Transport;
}

const MEANT = new Set([200, 204, 400, 404]);
const failed = z.object({ response: z.object({ statusCode: z.number(), body: z.unknown() }) });
const withErrors = z.object({ errors: z.array(z.string()) });

export function createVaultClient({ address, namespace, transport }: ClientOptions): VaultClient {
  const vault = createNodeVault({
    endpoint: address,
    debug: () => {}, // it would print what is sent
    "request-promise": { defaults: () => transport.send },
  });
  // These it takes from the environment where they are not given: a token from there would be a default credential.
  Object.assign(vault, { token: "", namespace, pathPrefix: "", apiVersion: "v1" });
  return {
    address,
    async send({ method, path, body }, token, signal) {
      const headers = token === undefined ? {} : { "X-Vault-Token": Buffer.from(token.reveal()).toString() };
      const options = { method, path: `/${path}`, headers, signal, ...(body && { json: body }) };
      try {
        return { status: 200, body: await vault.request(options), errors: [] };
      } catch (error) {
        if (signal.aborted) throw signal.reason;
        const answer = failed.safeParse(error);
        if (!answer.success) throw unreachable(address, error);
        const { statusCode: status, body: said } = answer.data.response;
        const errors = withErrors.safeParse(said).data?.errors ?? [];
        if (MEANT.has(status)) return { status, body: said, errors };
        throw refused({ address, method, path, status, errors });
      }
    },
  };
}

/** Its own error is not kept as the cause: nobody promises that no header is in it. */
function unreachable(address: string, error: unknown): SpanwireError {
  const why = error instanceof AggregateError ? error.errors.map(messageOf).join(", ") : messageOf(error);
  return new SpanwireError("unavailable", `secret store at ${address}: ${why}`, { reason: "VAULT_UNREACHABLE" });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

interface Refused {
  readonly address: string;
  readonly method: string;
  readonly path: string;
  readonly status: number;
  readonly errors: readonly string[];
}

function refused({ address, method, path, status, errors }: Refused): SpanwireError {
  const said = errors.map((text) => text.trim().replaceAll(/\s+/g, " ")).join("; ") || "no reason given";
  const where = `secret store at ${address}`;
  if (status === 403) {
    const message = `${where}: ${said}: the hub's login needs a policy that allows ${capability(method)} on "${path}"`;
    return new SpanwireError("denied", message, { reason: "VAULT_DENIED", cause: said });
  }
  // Without a leader, for a moment after it was unsealed, it answers 500, too, and need not be mended.
  if (status === 500 && !said.includes("node not active")) {
    const message = `${where}: status 500 for ${method} "${path}": ${said}`;
    return new SpanwireError("unavailable", message, { reason: "VAULT_FAILED" });
  }
  if (status === 503 && /sealed/i.test(said)) {
    const message = `${where}: it is sealed: an operator must unseal it (bao operator unseal)`;
    return new SpanwireError("unavailable", message, { reason: "VAULT_SEALED" });
  }
  return new SpanwireError("unavailable", `${where}: status ${status}: ${said}`, { reason: "VAULT_AWAY" });
}

function capability(method: string): string {
  return method === "GET" ? "read" : "create and update";
}
