/** @module One JSON document over HTTPS, from a server that a given CA vouches for. */
import { get } from "node:https";
import { SpanwireError } from "@spanwire/core/errors";

export interface FetchOptions {
  /** CAs as PEM; undefined takes those of the system. */
  readonly caPem?: string | undefined;
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 5_000;
/** kube-apiserver answers 406 to who takes only application/json for its keys (RFC 7517, section 8.5.1). */
const ACCEPT = "application/json, application/jwk-set+json";
const MAX_BYTES = 262_144;

/** Throws `unavailable` for whatever is not an answer of status 200 in time; follows no redirect. */
export async function fetchDocument(url: string, { caPem, timeoutMs = TIMEOUT_MS }: FetchOptions): Promise<string> {
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await new Promise<string>((resolve, reject) => {
      const headers = { accept: ACCEPT };
      const request = get(url, { ...(caPem !== undefined && { ca: caPem }), agent: false, signal, headers });
      request.once("error", reject);
      request.once("response", (response) => {
        if (response.statusCode !== 200) {
          response.destroy();
          reject(new Error(`status ${response.statusCode}`));
          return;
        }
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on("data", (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_BYTES) response.destroy(new Error(`more than ${MAX_BYTES} bytes`));
          else chunks.push(chunk);
        });
        response.once("error", reject);
        response.once("end", () => resolve(Buffer.concat(chunks).toString()));
      });
    });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new SpanwireError("unavailable", `fetch ${url}: ${signal.aborted ? "no answer in time" : why}`, { cause });
  }
}
