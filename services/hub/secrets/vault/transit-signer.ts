/** @module The root authority's key in transit: it signs there, and cannot be had. */
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import type { Signer } from "@spanwire/core/records/crypto";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { z } from "zod";
import { ensureSecret, type SecretStore } from "../port.ts";
import type { VaultSession } from "./session.ts";
import type { WaitingList } from "./waiting.ts";

export interface TransitSigner extends Signer {
  /** The version of the key that the mesh is signed by; it stays when the key is rotated, because agents have pinned it. */
  readonly version: number;
}

export interface TransitKey {
  readonly mount: string;
  readonly key: string;
}

export interface TransitOptions extends TransitKey {
  readonly session: Pick<VaultSession, "call">;
  /** Holds which version of the key the mesh began with; nothing in it is secret, but it must not change. */
  readonly secrets: SecretStore;
  readonly waiting: WaitingList;
}

/** What transit says of a key. */
export interface TransitFacts {
  readonly latestVersion: number;
  /** Of each version that is not archived, raw Ed25519. */
  readonly publicKeys: ReadonlyMap<number, Uint8Array>;
  /** The lowest version that may sign; 0 where any may. */
  readonly lowestSigning: number;
}

const PIN = "authority-root-transit";
const pinned = z.strictObject({ version: z.number().int().positive(), publicKey: z.base64() });
const described = z.object({
  data: z.object({
    type: z.string(),
    exportable: z.boolean(),
    allow_plaintext_backup: z.boolean(),
    derived: z.boolean(),
    latest_version: z.number().int().positive(),
    min_encryption_version: z.number().int(),
    keys: z.record(z.string(), z.object({ public_key: z.string() })),
  }),
});
const signed = z.object({ data: z.object({ signature: z.string().regex(/^vault:v\d+:[A-Za-z0-9+/=]+$/) }) });

/**
 * Opens the signer, with the key's newest version on first use and the same one ever after. Throws `denied`
 * (`SIGNING_KEY_UNFIT`) for a key that could leave transit, `conflict` (`OTHER_SIGNING_KEY`) for one that the mesh was not
 * made with.
 */
export async function openTransitSigner(options: TransitOptions): Promise<TransitSigner> {
  const { session, mount, key, secrets, waiting } = options;
  const { latestVersion, publicKeys } = await readTransitKey(session.call, options);
  const pin = await ensureSecret(secrets, PIN, async () => {
    const publicKey = Buffer.from(publicKeys.get(latestVersion) ?? []).toString("base64");
    return new Secret(Buffer.from(JSON.stringify({ version: latestVersion, publicKey })));
  });
  const { version, publicKey: encoded } = pinned.parse(JSON.parse(Buffer.from(pin.reveal()).toString()));
  const publicKey = new Uint8Array(Buffer.from(encoded, "base64"));
  const present = publicKeys.get(version);
  if (present === undefined || !Buffer.from(present).equals(publicKey)) throw otherKey(options, version);
  const verify = createVerify();
  return {
    publicKey,
    version,
    sign: (message) => waiting.attempt("signatures of the root authority", () => sign(message)),
  };

  async function sign(message: Uint8Array): Promise<Uint8Array> {
    const body = { input: Buffer.from(message).toString("base64"), key_version: version };
    const request = { method: "POST", path: `${mount}/sign/${key}`, body } as const;
    const answer = await session.call(request).catch(explain);
    const text = signed.safeParse(answer.body).data?.data.signature.split(":")[2];
    if (text === undefined) return explain(new SpanwireError("unavailable", answer.errors.join("; ")));
    const signature = new Uint8Array(Buffer.from(text, "base64"));
    // A key that was removed and made anew under the same name has a version 1 as well.
    if (!verify(publicKey, message, signature)) throw otherKey(options, version);
    return signature;
  }

  /** A failure that the key's settings explain says so: transit answers with 400 or 500, as to anything else. */
  async function explain(error: unknown): Promise<never> {
    const isAnswer = error instanceof SpanwireError && !["VAULT_FAILED", "UNAVAILABLE"].includes(error.reason);
    if (isAnswer) throw error;
    const { lowestSigning, publicKeys: left } = await readTransitKey(session.call, options);
    if (!left.has(version)) throw otherKey(options, version);
    if (lowestSigning <= version) throw error;
    const message = `transit key "${key}": version ${version}, which the mesh is signed by, may not sign any more`;
    const mend = `bao write ${mount}/keys/${key}/config min_encryption_version=${version}`;
    throw new SpanwireError("unavailable", `${message}: allow it again: ${mend}`, { reason: "SIGNING_KEY_RETIRED" });
  }
}

/** Throws `denied` for a key that is none of ours to use. */
export async function readTransitKey(call: VaultSession["call"], { mount, key }: TransitKey): Promise<TransitFacts> {
  const answer = await call({ method: "GET", path: `${mount}/keys/${key}` });
  if (answer.status === 404) throw unfit(key, `is not there: bao write -f ${mount}/keys/${key} type=ed25519`);
  const { type, exportable, allow_plaintext_backup, derived, ...rest } = described.parse(answer.body).data;
  if (type !== "ed25519" || derived) throw unfit(key, `is of type ${type}: make one of type ed25519, not derived`);
  if (exportable || allow_plaintext_backup) throw unfit(key, "may be exported: make one that may not");
  return {
    latestVersion: rest.latest_version,
    lowestSigning: rest.min_encryption_version,
    publicKeys: new Map(
      Object.entries(rest.keys).map(([version, { public_key }]) => [
        Number(version),
        new Uint8Array(Buffer.from(public_key, "base64")),
      ]),
    ),
  };
}

function unfit(key: string, what: string): SpanwireError {
  return new SpanwireError("denied", `transit key "${key}" ${what}`, { reason: "SIGNING_KEY_UNFIT" });
}

function otherKey({ key }: TransitKey, version: number): SpanwireError {
  const message = `transit key "${key}": its version ${version} is not the key that this mesh was made with`;
  return new SpanwireError("conflict", `${message}: restore it from a backup of the secret store`, {
    reason: "OTHER_SIGNING_KEY",
  });
}
