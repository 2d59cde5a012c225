/** @module Secrets in a KV version 2 mount, each write by compare-and-set. */
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { z } from "zod";
import { requireSecretName, type SecretStore } from "../port.ts";
import type { VaultResponse } from "./client.ts";
import type { VaultSession } from "./session.ts";

export interface KvOptions {
  readonly session: Pick<VaultSession, "call">;
  /** Of the KV version 2 engine: "secret". */
  readonly mount: string;
  /** Under which the secrets of this mesh are: "spanwire". */
  readonly path: string;
}

interface Version {
  readonly version: number;
  readonly secret: Secret;
}

const stored = z.object({
  data: z.object({
    data: z.object({ bytes: z.base64() }),
    metadata: z.object({ version: z.number().int().positive() }),
  }),
});
const ended = z.object({ data: z.object({ data: z.null(), metadata: z.object({ deletion_time: z.string() }) }) });
const written = z.object({ data: z.object({ version: z.number().int().positive() }) });

export function createVaultSecretStore({ session, mount, path }: KvOptions): SecretStore {
  return {
    read: async (name) => (await readVersion(name))?.secret,
    create: (name, secret) => write(name, secret, 0),
    async replace(name, { present, next }) {
      const found = await readVersion(name);
      return found?.secret.equals(present) === true && write(name, next, found.version);
    },
  };

  async function readVersion(name: string): Promise<Version | undefined> {
    const answer = await session.call({ method: "GET", path: dataPath(name) });
    if (answer.status === 404) {
      if (!ended.safeParse(answer.body).success) return undefined;
      throw damaged(name, `was deleted: bring it back with bao kv undelete, or from a backup`);
    }
    const found = stored.safeParse(answer.body);
    if (!found.success) throw damaged(name, "is not what a hub stores, or the mount is not KV version 2");
    const { data, metadata } = found.data.data;
    return { version: metadata.version, secret: new Secret(new Uint8Array(Buffer.from(data.bytes, "base64"))) };
  }

  /** Version 0 is nothing. False where the store holds another version. */
  async function write(name: string, secret: Secret, version: number): Promise<boolean> {
    const bytes = Buffer.from(secret.reveal()).toString("base64");
    const body = { options: { cas: version }, data: { bytes } };
    const answer = await session.call({ method: "POST", path: dataPath(name), body });
    if (answer.status === 200 && written.safeParse(answer.body).success) return true;
    // 400 says nothing that a program could read: the version that is there does.
    const present = await readVersion(name);
    if (answer.status === 400 && (present?.version ?? 0) !== version) return false;
    throw unexpected(name, answer);
  }

  function dataPath(name: string): string {
    requireSecretName(name);
    return `${mount}/data/${path}/${name}`;
  }

  function damaged(name: string, what: string): SpanwireError {
    const message = `secret "${name}": ${mount}/${path}/${name} ${what}; nothing may take its place`;
    return new SpanwireError("corrupt", message, { reason: "SECRET_CORRUPT" });
  }

  function unexpected(name: string, { status, errors }: VaultResponse): SpanwireError {
    const said = errors.join("; ") || `status ${status}`;
    const message = `store secret "${name}": ${said}: is "${mount}" a KV version 2 mount (bao secrets enable -path=${mount} kv-v2)?`;
    return new SpanwireError("invalid", message, { reason: "VAULT_REFUSED" });
  }
}
