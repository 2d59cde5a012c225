/** @module Reads who is calling from a grpc-js call. */
import type { ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";
import type { Peer, PeerCertificate } from "./context.ts";

/** Either kind of call that the bridge serves; messages are bytes, because the bridge decodes them itself. */
export type ServerCall = ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>;

/** Reads it at once: of a call that has ended, grpc-js knows the certificate no more. */
export function peerOf(call: ServerCall): Peer {
  return { address: call.getPeer(), certificate: certificateOf(call) };
}

function certificateOf(call: ServerCall): PeerCertificate | undefined {
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (certificate === undefined) return undefined;
  return { spiffeId: spiffeIdOf(certificate.subjectaltname ?? ""), der: new Uint8Array(certificate.raw) };
}

/**
 * Finds the name in Node's text form of the alternative names. A quotation mark means that some name had to be escaped:
 * none of ours has, and reading such a list wrongly would be reading a forged name.
 */
export function spiffeIdOf(subjectAltName: string): string | undefined {
  if (subjectAltName.includes('"')) return undefined;
  const names = subjectAltName.split(", ").filter((name) => name.startsWith("URI:spiffe://"));
  return names.length === 1 ? names[0]?.slice("URI:".length) : undefined;
}
