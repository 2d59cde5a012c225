/** @module What a kube-apiserver says of ServiceAccount tokens when OpenBao asks it, for tests without one. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

const NAMESPACE = "spanwire-system";
const HOUR_S = 3_600;

/** Of the form that TokenRequest gives; nobody looks at its signature but the one who reviews it. */
export function serviceAccountToken(name: string, nowMs: number): string {
  const nowS = Math.floor(nowMs / 1_000);
  const claims = {
    iss: "https://kubernetes.default.svc",
    aud: ["vault"],
    sub: `system:serviceaccount:${NAMESPACE}:${name}`,
    nbf: nowS - HOUR_S,
    exp: nowS + HOUR_S,
    "kubernetes.io": { namespace: NAMESPACE, serviceaccount: { name, uid: `uid-of-${name}` } },
  };
  const signature = Buffer.alloc(64, 1).toString("base64url");
  return `${encode({ alg: "ES256", typ: "JWT" })}.${encode(claims)}.${signature}`;
}

/** Finds every token good, and says which it was asked for. */
export async function startTokenReview(
  onReview: (token: string) => void,
): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const { token } = JSON.parse(Buffer.concat(chunks).toString()).spec;
    onReview(token);
    const { sub, aud, "kubernetes.io": bound } = JSON.parse(Buffer.from(token.split(".")[1], "base64url").toString());
    const user = { username: sub, uid: bound.serviceaccount.uid, groups: ["system:serviceaccounts"] };
    const status = { authenticated: true, user, audiences: aud };
    const review = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", status };
    response.writeHead(201, { "content-type": "application/json" }).end(JSON.stringify(review));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function encode(part: object): string {
  return Buffer.from(JSON.stringify(part)).toString("base64url");
}
