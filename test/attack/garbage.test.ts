import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import { headers } from "@nats-io/transport-node";
import { agentPermissions, inboxPrefix, MAP_REPUBLISH, mapSubject, upSubject } from "@spanwire/core/subjects";
import { ensureIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { openFileSecretStore } from "@spanwire/hub/secrets/file-secret-store";
import { RegistrationService } from "@spanwire/proto/registration";
import { encodeUserJwt } from "@spanwire/runtime/crypto/nats-claims";
import { createNkeyPair } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
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
const call = { timeoutMs: 60_000 };

let hub: HubProcess;
let eu: Member;
let us: Member;
beforeAll(async () => {
  hub = await startHubProcess();
  eu = await joinMember(hub, { clusterId: "eu", prefixes: ["10.1.0.0/16"], endpoint: "192.0.2.1" });
  us = await joinMember(hub, { clusterId: "us", prefixes: ["10.2.0.0/16"], endpoint: "192.0.2.2" });
  await eventually("eu and us have said where they are, and peer", async () => {
    const { clusters } = await (await hub.fleet()).listClusters({}, call);
    const hasSpoken = clusters.every(({ gateways }) => gateways[0]?.statement !== undefined);
    return hasSpoken && [eu, us].every(({ kernel }) => kernel.toString().includes("peer "));
  });
});
afterAll(async () => {
  for (const member of [eu, us]) await member?.[Symbol.asyncDispose]();
  await hub?.[Symbol.asyncDispose]();
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

test("random payloads on each subject that an agent may send to neither end the hub nor change the mesh", async () => {
  const before = await describeMesh();
  const self = { clusterId: "eu", ordinal: 0 };
  const { nkey: user } = await ensureIdentity(eu.stateDirectory);
  const { natsUserJwt } = eu.membership.credentials;
  await using sender = await connect("garbage", { jwt: () => natsUserJwt, user }, inboxPrefix(self));
  const { nats } = sender;
  const subjects = agentPermissions(self).publish.map((pattern) => pattern.replaceAll("*", "us"));
  fc.assert(
    fc.property(fc.constantFrom(...subjects), anyBytes(), (subject, bytes) => {
      nats.publish(subject, bytes, { reply: "sw.v1.inbox.eu.0.garbage" });
    }),
    { numRuns: 5 * RUNS },
  );
  const snapshot = () =>
    nats.request(upSubject(self, "snapshot"), new Uint8Array(), { timeout: 1_000 }).then(
      ({ data }) => data.length > 0,
      () => false,
    );
  // What was sent before it has been taken by then.
  await eventually("a request that is none of it is answered", snapshot);
  expect(await describeMesh()).toEqual(before);
});

test("random payloads of a hostile relay on each subject that an agent hears change no kernel and end no agent", async () => {
  await using relay = await connectRelay();
  const { nats } = relay;
  const before = [eu, us].map(({ kernel }) => kernel.toString());
  const keys = ["mesh", "delegation", "cluster.us", "gateway.us.0", "policy.links", "epoch", "novelty.x"];
  const heard = agentPermissions({ clusterId: "eu", ordinal: 0 }).subscribe.flatMap((pattern) =>
    pattern === MAP_REPUBLISH ? keys.map(mapSubject) : [pattern.replaceAll("*", "us").replace(/>$/, "x")],
  );
  const sequence = fc.option(fc.oneof(fc.nat().map(String), fc.string({ unit: "grapheme-ascii" })), { nil: undefined });
  fc.assert(
    fc.property(fc.constantFrom(...heard), anyBytes(), sequence, (subject, bytes, number) => {
      const header = headers();
      if (number !== undefined) header.set("Nats-Sequence", number);
      nats.publish(subject, bytes, { headers: header });
    }),
    { numRuns: 10 * RUNS },
  );
  await nats.flush();
  await eventually("both have reported evidence", () =>
    [eu, us].every(({ running }) => running.log.events.some(({ fields }) => "evidence" in fields)),
  );

  // Both still take what is true, and undo it.
  const fleet = await hub.fleet();
  const announce = async (prefixes: string[]) => void (await fleet.updateCluster({ id: "us", prefixes }, call));
  const planned = () => eu.kernel.toString().includes("10.3.0.0/16");
  await announce(["10.2.0.0/16", "10.3.0.0/16"]);
  await eventually("eu has heard of the new prefix", planned);
  await announce(["10.2.0.0/16"]);
  await eventually("both kernels are as before", () =>
    [eu, us].every(({ kernel }, at) => kernel.toString() === before[at]),
  );
});

/** As somebody who has taken over NATS: may say anything on any subject. */
async function connectRelay() {
  const secrets = await openFileSecretStore(join(hub.directory, "secrets"));
  const keyOf = async (name: string) => {
    const secret = await secrets.read(name);
    if (secret === undefined) throw new Error(`the hub has no secret ${name}`);
    return createNkeyPair("account", secret);
  };
  const [account, signing] = [await keyOf("nats-mesh-account"), await keyOf("nats-mesh-signing")];
  const user = createNkeyPair("user", generateSigningKey().privateKey);
  const nowMs = Date.now();
  const times = { nowMs, expiresAtMs: nowMs + 3_600_000 };
  const permissions = { publish: [">"], subscribe: ["_INBOX.>"] };
  const issuerAccount = account.publicKey;
  const claims = { subject: user.publicKey, name: "relay", permissions, ...times, issuerAccount };
  return connect("relay", { jwt: () => encodeUserJwt(claims, signing), user }, "_INBOX");
}

async function connect(name: string, who: Parameters<typeof jwtAuthenticator>[0], inbox: string) {
  const { natsUrls, natsCaPem } = eu.membership.credentials;
  const end = new AbortController();
  const nats = await connectNats({
    servers: natsUrls,
    name,
    tls: { caPem: natsCaPem },
    authenticator: jwtAuthenticator(who),
    inboxPrefix: inbox,
    log: createRecordingLog(),
    signal: end.signal,
  });
  return {
    nats,
    async [Symbol.asyncDispose]() {
      end.abort();
      await nats.closed();
    },
  };
}

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
