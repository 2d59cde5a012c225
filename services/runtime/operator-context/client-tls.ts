/** @module How a context file's operator shows itself to the hub: with its certificate, or with a token for each call. */
import { readFile } from "node:fs/promises";
import { Secret } from "@spanwire/core/identity/secret";
import type { ClientTls } from "../grpc/channel.ts";
import type { OperatorContext } from "./operator-context.ts";

/** The file of a bearer token is read anew for each call: something else keeps it fresh. */
export function clientTlsOf(context: OperatorContext): ClientTls {
  const { caPem } = context;
  if ("bearerTokenFile" in context) {
    const { bearerTokenFile } = context;
    return { caPem, bearer: async () => new Secret(Buffer.from((await readFile(bearerTokenFile, "utf8")).trim())) };
  }
  const { certificatePem: chainPem, privateKeyPem } = context;
  return { caPem, certificate: { chainPem, privateKeyPem } };
}
