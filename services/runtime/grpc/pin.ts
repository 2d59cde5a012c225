/** @module First contact with a hub: finds, without trusting anybody yet, the CA that the join token names. */
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { connect, type DetailedPeerCertificate, type TLSSocket } from "node:tls";
import { SpanwireError } from "@spanwire/core/errors";
import { constantTimeEqual } from "../crypto/constant-time-equal.ts";
import { sha256 } from "../crypto/sha256.ts";

export interface PinOptions {
  /** `host:port`; an IPv6 address in brackets. */
  readonly address: string;
  /** SHA-256 of the CA's SubjectPublicKeyInfo, 32 bytes. */
  readonly spkiSha256: Uint8Array;
  readonly signal: AbortSignal;
}

/**
 * Fetches the server's chain and gives the CA in it that has the pinned key, as PEM. The connection proves nothing and
 * nothing secret may go over it: what is trusted is the CA, by a second connection that verifies with it. Throws
 * `denied` (`PIN_MISMATCH`) when no CA of the chain has the key, `unavailable` when the server cannot be reached.
 */
export async function fetchPinnedChain({ address, spkiSha256, signal }: PinOptions): Promise<string> {
  const chain = await fetchChain(address, signal);
  const ca = chain.find((certificate) => certificate.ca && constantTimeEqual(spkiSha256Of(certificate), spkiSha256));
  if (ca !== undefined) return ca.toString();
  const seen = chain.map(({ subject }) => `"${subject.replaceAll("\n", ", ")}"`).join(", ");
  throw new SpanwireError(
    "denied",
    `server at ${address}: none of its certificates (${seen}) is the CA that the token names: wrong address, or somebody in between`,
    { reason: "PIN_MISMATCH" },
  );
}

/** The pin of a CA: SHA-256 of its SubjectPublicKeyInfo. */
export function spkiSha256Of(certificate: X509Certificate | string): Uint8Array {
  const { publicKey } = typeof certificate === "string" ? new X509Certificate(certificate) : certificate;
  return sha256(publicKey.export({ format: "der", type: "spki" }));
}

function fetchChain(address: string, signal: AbortSignal): Promise<X509Certificate[]> {
  const { host, port } = splitAddress(address);
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const servername = isIP(host) === 0 ? host : "";
    const socket = connect({ host, port, servername, ALPNProtocols: ["h2"], rejectUnauthorized: false });
    const onAbort = () => socket.destroy(new Error("aborted"));
    signal.addEventListener("abort", onAbort, { once: true });
    socket.once("secureConnect", () => {
      resolve(presentedBy(socket));
      socket.destroy();
    });
    socket.once("error", (cause) => {
      reject(
        signal.aborted
          ? signal.reason
          : new SpanwireError("unavailable", `server at ${address}: ${cause.message}`, { cause }),
      );
    });
    socket.once("close", () => {
      signal.removeEventListener("abort", onAbort);
      reject(new SpanwireError("unavailable", `server at ${address}: closed the connection`));
    });
  });
}

/** Node links each certificate to its issuer, a self-signed one to itself. */
function presentedBy(socket: TLSSocket): X509Certificate[] {
  const chain: X509Certificate[] = [];
  let next: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.at(-1)?.raw.equals(next.raw) !== true) {
    chain.push(new X509Certificate(next.raw));
    next = next.issuerCertificate;
  }
  return chain;
}

function splitAddress(address: string): { readonly host: string; readonly port: number } {
  const [, host = "", port = ""] = /^\[?([^[\]]+?)\]?:(\d{1,5})$/.exec(address) ?? [];
  if (host === "") throw new SpanwireError("invalid", `address "${address}": not of the form host:port`);
  return { host, port: Number(port) };
}
