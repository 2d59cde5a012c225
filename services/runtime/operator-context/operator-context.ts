/**
 * @module The operator's context file: where the hub is and who the operator is. Written by the hub's first start,
 * read by the CLI. May hold a private key, so it is 0600 and its bytes are never printed.
 */
import { readFile } from "node:fs/promises";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { z } from "zod";
import { writeFileAtomic } from "../files/write-file-atomic.ts";

export type OperatorContext = Place & (ByCertificate | ByBearer);

interface Place {
  /** `host:port` of FleetService. */
  readonly address: string;
  readonly meshId: string;
  /** Raw Ed25519 key of the root authority: what the CLI verifies the map with. */
  readonly authorityKey: Uint8Array;
  readonly caPem: string;
}

/** With a certificate of the mesh. */
export interface ByCertificate {
  readonly certificatePem: string;
  readonly privateKeyPem: Secret;
}

/** With a token of the company's sign-in, which something else keeps fresh in this file. */
export interface ByBearer {
  readonly bearerTokenFile: string;
}

const place = {
  address: z.string().regex(/^.+:\d+$/),
  meshId: z.string().min(1),
  authorityKey: z.base64(),
  caPem: z.string().startsWith("-----BEGIN CERTIFICATE-----"),
};
const certificateSchema = z.strictObject({
  ...place,
  certificatePem: z.string().startsWith("-----BEGIN CERTIFICATE-----"),
  privateKeyPem: z.string().startsWith("-----BEGIN "),
});
const bearerSchema = z.strictObject({ ...place, bearerTokenFile: z.string().min(1) });

export async function writeOperatorContext(path: string, context: OperatorContext): Promise<void> {
  const authorityKey = Buffer.from(context.authorityKey).toString("base64");
  const file: z.infer<typeof certificateSchema> | z.infer<typeof bearerSchema> =
    "bearerTokenFile" in context
      ? { ...context, authorityKey }
      : { ...context, authorityKey, privateKeyPem: Buffer.from(context.privateKeyPem.reveal()).toString() };
  await writeFileAtomic(path, Buffer.from(`${JSON.stringify(file, undefined, 2)}\n`));
}

/** Throws `invalid` or `not-found` with what to do. */
export async function readOperatorContext(path: string): Promise<OperatorContext> {
  const text = await readFile(path, "utf8").catch((cause: Error) => {
    const message = `operator context ${path}: cannot be read; start a hub with "spanwire up" or name a file with --context`;
    throw new SpanwireError("not-found", message, { cause });
  });
  const json = parseJson(text);
  const isBearer = typeof json === "object" && json !== null && "bearerTokenFile" in json;
  const parsed = (isBearer ? bearerSchema : certificateSchema).safeParse(json);
  if (!parsed.success) {
    const where = parsed.error.issues.map((issue) => issue.path.join(".")).join(", ");
    throw new SpanwireError("invalid", `operator context ${path}: not a context file (${where || "no JSON"})`);
  }
  const authorityKey = new Uint8Array(Buffer.from(parsed.data.authorityKey, "base64"));
  if ("bearerTokenFile" in parsed.data) return { ...parsed.data, authorityKey };
  return { ...parsed.data, authorityKey, privateKeyPem: new Secret(Buffer.from(parsed.data.privateKeyPem)) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
