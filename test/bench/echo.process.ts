/** @module The control of `register`: bare grpc-js, whose one method writes, signs and certifies as often as Register. */
import { Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from "@grpc/grpc-js";
import { openAuthority } from "@spanwire/hub/authority/authority";
import { GATEWAY_LIFETIME_MS, SERVER_LIFETIME_MS } from "@spanwire/hub/authority/ca";
import { openNatsOperator } from "@spanwire/hub/nats/operator";
import { openFileSecretStore } from "@spanwire/hub/secrets/file-secret-store";
import { openNatsStateStore } from "@spanwire/hub/state/jetstream/nats-state-store";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { connectAsHub } from "./connect-as-hub.ts";
import { ECHO } from "./echo.ts";
import { serveParent } from "./serve-parent.ts";

/** What one registration costs the hub: the token's claim and the admission; the admission's signature and the user's. */
const WRITES = ["claim", "admission"];
const SIGNATURES = 2;
const RECORD_BYTES = 300;

const handlers = {
  /** With the hub's own keys (a folder of secrets) and a NATS server; gives the address. */
  async start({ secretsDirectory, natsUrl }: { secretsDirectory: string; natsUrl: string }): Promise<string> {
    const secrets = await openFileSecretStore(secretsDirectory);
    const nowMs = systemClock.now();
    const { ca, root } = await openAuthority(secrets, { nowMs, randomBytes });
    const operator = await openNatsOperator(secrets);
    const signal = new AbortController().signal; // for as long as the process lives
    const connection = await connectAsHub({ url: natsUrl, caPem: ca.certificatePem, operator, signal });
    const store = await openNatsStateStore({ connection, clock: systemClock });
    let count = 0;

    async function echo(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>): Promise<void> {
      const bytes = randomBytes(RECORD_BYTES);
      const n = count++;
      for (const kind of WRITES) await store.registry.create(`echo.${n}.${kind}`, bytes);
      for (let signed = 0; signed < SIGNATURES; signed++) await root.sign(bytes);
      await ca.issueGateway({
        clusterId: `echo-${n}`,
        ordinal: 0,
        identityKey: root.publicKey,
        nowMs,
        lifetimeMs: GATEWAY_LIFETIME_MS,
      });
      done(null, call.request);
    }

    const server = new Server();
    server.addService(ECHO, { echo });
    const { chainPem, privateKeyPem } = await ca.issueServer({
      hosts: ["127.0.0.1"],
      nowMs,
      lifetimeMs: SERVER_LIFETIME_MS,
    });
    const pair = { cert_chain: Buffer.from(chainPem), private_key: Buffer.from(privateKeyPem.reveal()) };
    const credentials = ServerCredentials.createSsl(null, [pair]);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync("127.0.0.1:0", credentials, (error, bound) => (error === null ? resolve(bound) : reject(error)));
    });
    return `127.0.0.1:${port}`;
  },
};

export type EchoProgram = typeof handlers;

serveParent(handlers);
