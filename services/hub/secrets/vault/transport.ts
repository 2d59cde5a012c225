/**
 * @module How requests reach the server: node-vault's own way would follow redirects with the token, take proxies and
 * `VAULT_SKIP_VERIFY` from the environment, print headers under `DEBUG=*`, and cannot be cancelled.
 */
import { type IncomingMessage, Agent as PlainAgent, request as requestPlain } from "node:http";
import { request as requestTls, Agent as TlsAgent } from "node:https";

/** What node-vault hands over. */
export interface TransportRequest {
  readonly method: string;
  readonly uri: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly json?: unknown;
  readonly signal: AbortSignal;
}

/** What node-vault takes back. */
export interface TransportResponse {
  readonly statusCode: number;
  /** Parsed JSON; the text itself where it is none; undefined where there is none. */
  readonly body: unknown;
  readonly request: { readonly path: string };
}

export interface Transport {
  send(request: TransportRequest): Promise<TransportResponse>;
  /** Ends connections that are kept for later. */
  close(): void;
}

const LONGEST_ANSWER_BYTES = 1024 * 1024;
const SOCKETS = 32;

/** With `caPem` only what that CA signed is trusted, whatever the environment says. Rejects with the system's error. */
export function createTransport({ caPem }: { readonly caPem: string | undefined }): Transport {
  const kept = { keepAlive: true, maxSockets: SOCKETS };
  const plain = new PlainAgent(kept);
  const tls = new TlsAgent({ ...kept, ...(caPem && { ca: caPem }), minVersion: "TLSv1.2", rejectUnauthorized: true });
  return {
    async send({ method, uri, headers, json, signal }) {
      const url = new URL(uri);
      const content = json === undefined ? undefined : Buffer.from(JSON.stringify(json));
      const described = { "content-type": "application/json", "content-length": `${content?.length ?? 0}` };
      const options = { method, headers: { ...described, ...headers }, signal };
      const response = await new Promise<IncomingMessage>((resolve, reject) => {
        const isTls = url.protocol === "https:";
        const request = isTls
          ? requestTls(url, { ...options, agent: tls }, resolve)
          : requestPlain(url, { ...options, agent: plain }, resolve);
        request.on("error", reject).end(content);
      });
      const body = parse(await readAll(response));
      return { statusCode: response.statusCode ?? 0, body, request: { path: url.pathname } };
    },
    close() {
      plain.destroy();
      tls.destroy();
    },
  };
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of response) {
    length += chunk.length;
    if (length > LONGEST_ANSWER_BYTES) throw new Error("the answer is longer than 1 MiB");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function parse(text: string): unknown {
  if (text === "") return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
