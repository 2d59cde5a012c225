/** @module A company's sign-in for tests: its discovery and its keys, over TLS with a CA of its own. */
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:https";
import { join } from "node:path";
import type { TestIssuer } from "@spanwire/hub/oidc/testing";
import { createTestCa } from "@spanwire/runtime/grpc/test-certificates";
import { findPorts } from "../lab/find-ports.ts";

export interface SignIn extends AsyncDisposable {
  /** For the hub's configuration; `issuer` is also what tokens must name. */
  readonly settings: { readonly issuer: string; readonly caFile: string };
}

/** Publishes the issuer's keys; writes the CA's certificate into `directory`. */
export async function serveSignIn({ jwks }: TestIssuer, directory: string): Promise<SignIn> {
  const [port = 0] = await findPorts(1);
  const issuer = `https://127.0.0.1:${port}`;
  const ca = await createTestCa("CN=sign-in CA");
  const caFile = join(directory, "sign-in-ca.pem");
  await writeFile(caFile, ca.caPem);
  const { chainPem, privateKeyPem } = await ca.issue({});
  const server = createServer({ cert: chainPem, key: Buffer.from(privateKeyPem.reveal()) }, (request, response) => {
    const isDiscovery = request.url === "/.well-known/openid-configuration";
    response.end(isDiscovery ? JSON.stringify({ issuer, jwks_uri: `${issuer}/keys` }) : jwks);
  });
  await once(server.listen(port, "127.0.0.1"), "listening");
  return {
    settings: { issuer, caFile },
    async [Symbol.asyncDispose]() {
      server.close();
      await once(server, "close");
    },
  };
}
