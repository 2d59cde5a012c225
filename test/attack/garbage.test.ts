import { connect as connectTcp } from "node:net";
import { connect as connectTls } from "node:tls";
import { inboxPrefix, upSubject } from "@spanwire/core/subjects";
import { ensureIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { RegistrationService } from "@spanwire/proto/registration";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient } from "@spanwire/runtime/grpc/client";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../demo/eventually.ts";
import { type HubProcess, startHubProcess } from "../integration/hub-process.ts";
import { joinMember, type Member } from "../integration/member.ts";

const RUNS = 60;
const call = { timeoutMs: 20_000 };

let hub: HubProcess;
let eu: Member;
beforeAll(async () => {
  hub = await startHubProcess();
  eu = await joinMember(hub, { clusterId: "eu", prefixes: ["10.1.0.0/16"], endpoint: "192.0.2.1" });
  await eventually("eu has said where it is", async () => {
    const { clusters } = await (await hub.fleet()).listClusters({}, call);
    return clusters[0]?.gateways[0]?.statement !== undefined;
  });
});
afterAll(async () => {
  await eu[Symbol.asyncDispose]();
  await hub[Symbol.asyncDispose]();
});

test("random bytes on each port neither end the hub nor change the mesh", async () => {
  const before = await describeMesh();
  const ports = await portsOf();
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...ports), fc.boolean(), anyBytes(), async (port, insideTls, bytes) => {
      await send(port, insideTls, bytes);
    }),
    { numRuns: RUNS },
  );
  expect(await describeMesh()).toEqual(before);
});

test("random messages to each method of RegistrationService are refused and change nothing", async () => {
  const before = await describeMesh();
  const { caPem } = await hub.context();
  const [registration] = await portsOf();
  using channel = openChannel({ address: `127.0.0.1:${registration}`, tls: { caPem } });
  const client = createClient(RegistrationService, channel);
  const proof = fc.record({
    nonce: fc.uint8Array({ maxLength: 200 }),
    identityKey: fc.uint8Array({ maxLength: 64 }),
    signature: fc.uint8Array({ maxLength: 128 }),
  });
  const request = fc.record({ body: anyBytes(), proof });
  await fc.assert(
    fc.asyncProperty(fc.constantFrom("register", "renew", "leave"), request, async (method, message) => {
      const outcome = await client[method as "register"](message, call).then(
        () => "answered",
        (error: { code: string }) => error.code,
      );
      expect(["invalid", "unauthenticated", "denied", "exhausted"]).toContain(outcome);
    }),
    { numRuns: RUNS },
  );
  expect(await describeMesh()).toEqual(before);
});

test("random payloads on each subject of an agent neither end the hub nor change the mesh", async () => {
  const before = await describeMesh();
  const self = { clusterId: "eu", ordinal: 0 };
  const { nkey: user } = await ensureIdentity(eu.stateDirectory);
  const { natsUrls, natsCaPem, natsUserJwt } = eu.membership.credentials;
  const end = new AbortController();
  const nats = await connectNats({
    servers: natsUrls,
    name: "garbage",
    tls: { caPem: natsCaPem },
    authenticator: jwtAuthenticator({ jwt: () => natsUserJwt, user }),
    inboxPrefix: inboxPrefix(self),
    log: createRecordingLog(),
    signal: end.signal,
  });
  fc.assert(
    fc.property(fc.constantFrom("snapshot", "statement", "export", "applied", "status"), anyBytes(), (kind, bytes) => {
      nats.publish(upSubject(self, kind), bytes, { reply: "sw.v1.inbox.eu.0.garbage" });
    }),
    { numRuns: 5 * RUNS },
  );
  await nats.flush();
  end.abort();
  expect(await describeMesh()).toEqual(before);
});

/** What must stay: who is in the mesh and what each said, and that the hub answers at all. */
async function describeMesh() {
  const fleet = await hub.fleet();
  const { clusters } = await fleet.listClusters({}, call);
  const { policy, generation } = await fleet.getLinkPolicy({}, call);
  const gateways = clusters.flatMap((cluster) =>
    cluster.gateways.map(({ statement, incarnation }) => ({ statement, incarnation })),
  );
  return { ids: clusters.map(({ id, generation }) => `${id} ${generation}`), gateways, policy, generation };
}

/** Registration, fleet and NATS, as the hub says them. */
async function portsOf(): Promise<[number, number, number]> {
  const said = /agents join at \S+:(\d+), operators at \S+:(\d+)/.exec(hub.output());
  const nats = Number(new URL(eu.membership.credentials.natsUrls[0] ?? "").port);
  return [Number(said?.[1]), Number(said?.[2]), nats];
}

function anyBytes() {
  const http2 = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  const random = fc.uint8Array({ maxLength: 2_000 });
  return fc.oneof(
    random,
    random.map((bytes) => new Uint8Array([...http2, ...bytes])),
    fc.constant(new Uint8Array()),
  );
}

/** Writes and closes; what the other side does with it is its business. */
async function send(port: number, insideTls: boolean, bytes: Uint8Array): Promise<void> {
  const options = { port, host: "127.0.0.1" };
  const socket = insideTls
    ? connectTls({ ...options, rejectUnauthorized: false, ALPNProtocols: ["h2"] })
    : connectTcp(options);
  socket.on("error", () => undefined);
  socket.resume();
  // Not events.once: that would reject with the error that ends the connection, which is what we expect.
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.setTimeout(2_000, () => socket.destroy());
  socket.once(insideTls ? "secureConnect" : "connect", () => socket.end(bytes));
  await closed;
}
