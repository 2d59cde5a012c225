/** @module TLS of a server whose certificates can be replaced while connections stay open. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Server as NetServer, Socket } from "node:net";
import { createServer, type SecureContextOptions, type TLSSocket, type Server as TlsServer } from "node:tls";
import { SpanwireError } from "@spanwire/core/errors";
import type { Secret } from "@spanwire/core/identity/secret";

export interface ServerCertificate {
  /** PEM: the server's own certificate first, then those up to and with the CA, in which a joining agent finds its pin. */
  readonly chainPem: string;
  readonly privateKeyPem: Secret;
}

export interface ServerTlsOptions {
  readonly certificate: ServerCertificate;
  /** CAs, as PEM, one of which must have signed the certificate that every client then has to show; absent asks for none. */
  readonly clientCaPem?: string;
}

export interface ServerTls {
  /** Makes a listener that hands over each connection after its handshake; `serve` calls it. */
  createListener(onConnection: (socket: Socket) => void): NetServer;
  /** Serves another certificate, and accepts clients of other CAs, from the next connection on. Throws as `createServerTls`. */
  replace(options: ServerTlsOptions): void;
}

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** Prepares TLS 1.3 for a port. Throws `invalid` if the private key is not that of the certificate. */
export function createServerTls(options: ServerTlsOptions): ServerTls {
  const asksForClients = options.clientCaPem !== undefined;
  const listeners = new Set<TlsServer>();
  let context = toContext(options);
  return {
    createListener(onConnection) {
      const listener = createServer({
        ...context,
        requestCert: asksForClients,
        rejectUnauthorized: asksForClients,
        ALPNProtocols: ["h2"],
        handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
        noDelay: true,
      });
      listener.on("secureConnection", (socket) => {
        if (asksForClients) rememberCertificate(socket);
        onConnection(socket);
      });
      listeners.add(listener);
      listener.once("close", () => listeners.delete(listener));
      return listener;
    },
    replace(next) {
      context = toContext(next);
      for (const listener of listeners) listener.setSecureContext(context);
    },
  };
}

function toContext({ certificate: { chainPem, privateKeyPem }, clientCaPem }: ServerTlsOptions): SecureContextOptions {
  const key = Buffer.from(privateKeyPem.reveal());
  if (!new X509Certificate(chainPem).checkPrivateKey(createPrivateKey(key))) {
    throw new SpanwireError("invalid", "server certificate: the private key belongs to another certificate");
  }
  return { cert: chainPem, key, ...(clientCaPem === undefined ? {} : { ca: clientCaPem }), minVersion: "TLSv1.3" };
}

/** grpc-js reads the certificate anew for each call, which costs as much as half of the call. */
function rememberCertificate(socket: TLSSocket): void {
  const certificate = socket.getPeerCertificate();
  Object.defineProperty(socket, "getPeerCertificate", { value: () => certificate });
}
