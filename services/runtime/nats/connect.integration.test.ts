import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startNats } from "../../../test/lab/nats.ts";
import { encodeAccountJwt, encodeOperatorJwt, encodeUserJwt } from "../crypto/nats-claims.ts";
import { formatNatsCreds, parseNatsCreds } from "../crypto/nats-creds.ts";
import { createNkeyPair, encodeNkeySeed, type NkeyPair } from "../crypto/nkey.ts";
import { generateSigningKey } from "../crypto/signing-key.ts";
import { createTestCa, type TestCertificate } from "../grpc/test-certificates.ts";
import { createRecordingLog, type RecordingLog } from "../log/recording-log.ts";
import { credsAuthenticator, jwtAuthenticator } from "./authenticator.ts";
import { connectNats, type NatsOptions } from "./connect.ts";

let controller: AbortController;
let log: RecordingLog;
beforeEach(() => {
  controller = new AbortController();
  log = createRecordingLog();
});
afterEach(() => controller.abort());

const backoff = { baseMs: 20, capMs: 100 };
function open(servers: string | string[], options: Partial<NatsOptions> = {}) {
  const { signal } = controller;
  return connectNats({ servers: [servers].flat(), name: "test", log, backoff, signal, ...options });
}
const messages = () => log.events.map(({ message }) => message);
const errors = () => log.events.map(({ fields }) => String(fields["err"]));

test("connects, and comes back when the server does", async () => {
  await using server = await startNats({ jetstream: false });
  const connection = await open(server.url);
  const received: string[] = [];
  connection.subscribe("a", { callback: (_, message) => void received.push(message.string()) });
  await server.restart();
  await expect
    .poll(() => {
      connection.publish("a", "back");
      return received.at(-1);
    })
    .toBe("back");
  expect(messages()).toEqual(
    expect.arrayContaining(["nats connected", "nats connection lost", "nats connection restored"]),
  );
});

test("waits for a server that is not there yet", async () => {
  await using server = await startNats({ jetstream: false });
  await server.kill();
  const connecting = open(server.url);
  await expect.poll(messages).toContain("connecting to nats failed");
  await server.restart();
  expect((await connecting).info?.version).toBeDefined();
});

test("finds a server among those that are away", async () => {
  await using server = await startNats({ jetstream: false });
  const connection = await open(["nats://127.0.0.1:1", server.url]);
  expect(connection.getServer()).toBe(`127.0.0.1:${server.port}`);
});

test("an abort ends waiting for a server, and closes a connection after what was sent has left", async () => {
  const reason = new Error("stop");
  const waiting = open("nats://127.0.0.1:1");
  await expect.poll(messages).toContain("connecting to nats failed");
  controller.abort(reason);
  await expect(waiting).rejects.toBe(reason);

  await using server = await startNats({ jetstream: false });
  controller = new AbortController();
  const reader = await open(server.url, { signal: new AbortController().signal });
  const last = Promise.withResolvers<string>();
  reader.subscribe("a", { callback: (_, message) => last.resolve(message.string()) });
  await reader.flush();
  const connection = await open(server.url);
  connection.publish("a", "bye");
  controller.abort(reason);
  expect(await last.promise).toBe("bye");
  expect(await connection.closed()).toBeUndefined();
  await reader.close();
});

test("a server that is too old is refused", async () => {
  await using old = await startOldServer("2.10.29");
  await expect(open(old.url)).rejects.toMatchObject({ code: "invalid", reason: "NATS_TOO_OLD" });
});

test("TLS: the certificate must be for one of the given hosts, also where that is an address", async () => {
  const ca = await createTestCa();
  await using server = await startTlsNats(await ca.issue({}));
  await using other = await startTlsNats(await ca.issue({ ip: "127.0.0.9" }));
  const tls = { caPem: ca.caPem };
  await open(server.url.replace("nats:", "tls:"), { tls });
  await open(`localhost:${other.port}`, { tls });

  const waiting = [
    open(other.url, { tls }),
    open(server.url, { tls: { caPem: (await createTestCa("CN=other")).caPem } }),
  ];
  await expect
    .poll(errors)
    .toContainEqual(expect.stringContaining("IP: 127.0.0.1 is not in the cert's list: 127.0.0.9"));
  await expect.poll(errors).toContainEqual(expect.stringContaining("self-signed certificate in certificate chain"));
  controller.abort();
  await Promise.allSettled(waiting);
});

test("operator mode: our tokens are accepted, permissions hold, an expired or revoked user is out and a renewed one in", async () => {
  const keys = createMeshKeys();
  await using server = await startNats({ config: keys.serverConfig() });
  const user = createPair("user");
  let jwt = keys.userJwt(user, { nowMs: Date.now() - 10_000, expiresAtMs: Date.now() + 1_500 });
  const connection = await open(server.url, {
    authenticator: jwtAuthenticator({ jwt: () => jwt, user }),
    inboxPrefix: "inbox.eu.0",
  });
  const received: string[] = [];
  connection.subscribe("up.eu.0.>", { callback: (_, message) => void received.push(message.subject) });
  connection.publish("up.eu.0.status");
  connection.publish("up.us.0.status");
  await expect.poll(() => received).toEqual(["up.eu.0.status"]);
  await expect
    .poll(errors)
    .toContainEqual(expect.stringContaining('Permissions Violation for Publish to "up.us.0.status"'));

  // The token expires; the connection goes on by itself with the next one.
  await expect.poll(messages).toContain("nats connection lost");
  jwt = keys.userJwt(user, { nowMs: Date.now() });
  await expect.poll(messages).toContain("nats connection restored");

  // Another user's key does not fit the token, and a user without a token is nobody.
  const thief = open(server.url, { authenticator: jwtAuthenticator({ jwt: () => jwt, user: createPair("user") }) });
  await expect.poll(errors).toContainEqual(expect.stringContaining("Authorization Violation"));
  controller.abort();
  await Promise.allSettled([thief]);
});

test("operator mode: a revoked user does not get in, its account's other users do", async () => {
  const keys = createMeshKeys();
  const revoked = createPair("user");
  await using server = await startNats({ config: keys.serverConfig(new Map([[revoked.publicKey, Date.now()]])) });
  const refused = open(server.url, {
    authenticator: jwtAuthenticator({ jwt: () => keys.userJwt(revoked, { nowMs: Date.now() - 5_000 }), user: revoked }),
  });
  await expect.poll(errors).toContainEqual(expect.stringContaining("Authorization Violation"));
  const { privateKey } = generateSigningKey();
  const other = createNkeyPair("user", privateKey);
  const file = formatNatsCreds({
    jwt: keys.userJwt(other, { nowMs: Date.now() }),
    seed: encodeNkeySeed("user", privateKey),
  });
  await open(server.url, { authenticator: credsAuthenticator(parseNatsCreds(file)) });
  controller.abort();
  await Promise.allSettled([refused]);
});

async function startTlsNats({ chainPem, privateKeyPem }: TestCertificate) {
  const directory = await mkdtemp(join(tmpdir(), "spanwire-nats-tls-"));
  const [cert, key] = [join(directory, "cert.pem"), join(directory, "key.pem")];
  await Promise.all([writeFile(cert, chainPem), writeFile(key, privateKeyPem.reveal())]);
  const server = await startNats({ jetstream: false, config: `tls { cert_file: "${cert}", key_file: "${key}" }` });
  await rm(directory, { recursive: true });
  return server;
}

function createPair(kind: "operator" | "account" | "user"): NkeyPair {
  return createNkeyPair(kind, generateSigningKey().privateKey);
}

function createMeshKeys() {
  const [operator, account, signing, system] = [
    createPair("operator"),
    createPair("account"),
    createPair("account"),
    createPair("account"),
  ];
  const nowMs = Date.now();
  const accountJwt = (revocations: ReadonlyMap<string, number>) =>
    encodeAccountJwt(
      {
        subject: account.publicKey,
        name: "mesh",
        nowMs,
        jetStream: "unlimited",
        signingKeys: [signing.publicKey],
        revocations,
      },
      operator,
    );
  const systemJwt = encodeAccountJwt({ subject: system.publicKey, name: "SYS", nowMs }, operator);
  const operatorJwt = encodeOperatorJwt(
    { subject: operator.publicKey, name: "spanwire", nowMs, systemAccount: system.publicKey },
    operator,
  );
  return {
    serverConfig: (revocations: ReadonlyMap<string, number> = new Map()) => `
      operator: ${operatorJwt}
      system_account: ${system.publicKey}
      resolver: MEMORY
      resolver_preload: { ${account.publicKey}: ${accountJwt(revocations)}, ${system.publicKey}: ${systemJwt} }`,
    userJwt: (user: NkeyPair, times: { nowMs: number; expiresAtMs?: number }) =>
      encodeUserJwt(
        {
          subject: user.publicKey,
          name: "eu/0",
          ...times,
          permissions: { publish: ["up.eu.0.>"], subscribe: ["up.eu.0.>", "inbox.eu.0.>"] },
          issuerAccount: account.publicKey,
        },
        signing,
      ),
  };
}

/** Speaks just enough of the protocol to be connected to: no server that old is in the lab. */
async function startOldServer(version: string) {
  const sockets = new Set<Socket>();
  const info = { server_id: "OLD", version, max_payload: 1_048_576, headers: true };
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (data) => data.includes("PING") && socket.write("PONG\r\n"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  return {
    url: `nats://127.0.0.1:${address !== null && typeof address === "object" ? address.port : 0}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
