/** @module A client's connection to one server, shared by the clients of all its services. */
import { isIP } from "node:net";
import { checkServerIdentity, createSecureContext } from "node:tls";
import { type ChannelCredentials, Client, credentials, Metadata } from "@grpc/grpc-js";
import type { Secret } from "@spanwire/core/identity/secret";

export interface ChannelOptions {
  /** `host:port`. */
  readonly address: string;
  /** Absent is plain text: for tests on one machine only. */
  readonly tls?: ClientTls;
}

export interface ClientTls {
  /** CAs, as PEM, one of which must have signed the server's certificate. */
  readonly caPem: string;
  /** The client's own certificate, for servers that ask for one. */
  readonly certificate?: { readonly chainPem: string; readonly privateKeyPem: Secret };
  /** Gives the bearer token of each call, for servers that ask for one. */
  readonly bearer?: () => Promise<Secret>;
  /** The name to find in the server's certificate, if it is not the host of the address. */
  readonly serverName?: string;
}

export interface Channel extends Disposable {
  readonly address: string;
  readonly client: Client;
  /** Ends the connection; calls that are under way fail. */
  close(): void;
}

const MESSAGE_BYTES = 4 * 1024 * 1024;
const OPTIONS = {
  "grpc.max_receive_message_length": MESSAGE_BYTES,
  "grpc.max_send_message_length": MESSAGE_BYTES,
  // Also without a call under way: a connection that a NAT has forgotten should not be found out by the next call.
  "grpc.keepalive_time_ms": 30_000,
  "grpc.keepalive_timeout_ms": 10_000,
  "grpc.keepalive_permit_without_calls": 1,
  "grpc.initial_reconnect_backoff_ms": 200,
  "grpc.max_reconnect_backoff_ms": 10_000,
  // The loops above decide what is tried again, and when.
  "grpc.enable_retries": 0,
  "grpc.enable_channelz": 0,
  "grpc.service_config_disable_resolution": 1,
};

/** Opens a channel; it connects at the first call, and again after each loss. */
export function openChannel({ address, tls }: ChannelOptions): Channel {
  const name = tls?.serverName ?? hostOf(address);
  const channelCredentials = tls === undefined ? credentials.createInsecure() : toCredentials(tls, name);
  const client = new Client(address, channelCredentials, {
    ...OPTIONS,
    // Sent as SNI, where an address is not allowed (RFC 6066, section 3); what is checked is `name`.
    ...(tls && { "grpc.ssl_target_name_override": isIP(name) === 0 ? name : "address.invalid" }),
  });
  return { address, client, close: () => client.close(), [Symbol.dispose]: () => client.close() };
}

function toCredentials({ caPem, certificate, bearer }: ClientTls, name: string): ChannelCredentials {
  const own = certificate && { cert: certificate.chainPem, key: Buffer.from(certificate.privateKeyPem.reveal()) };
  const context = createSecureContext({ ca: caPem, ...own, minVersion: "TLSv1.3" });
  const channel = credentials.createFromSecureContext(context, {
    checkServerIdentity: (_name, presented) => checkServerIdentity(name, presented),
  });
  return bearer === undefined ? channel : credentials.combineChannelCredentials(channel, toCallCredentials(bearer));
}

function toCallCredentials(bearer: () => Promise<Secret>) {
  return credentials.createFromMetadataGenerator((_call, answer) => {
    bearer().then((token) => {
      const metadata = new Metadata();
      metadata.set("authorization", `Bearer ${Buffer.from(token.reveal()).toString()}`);
      answer(null, metadata);
    }, answer);
  });
}

function hostOf(address: string): string {
  return address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
}
