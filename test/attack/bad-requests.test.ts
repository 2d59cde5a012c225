import { create, type DescMessage, type DescMethod, type DescService, toBinary } from "@bufbuild/protobuf";
import { status } from "@grpc/grpc-js";
import {
  CALL,
  createTestGateway,
  openRegistration,
  type RegistrationClient,
  type RunningHub,
  startHub,
} from "@spanwire/hub/testing";
import { FleetService } from "@spanwire/proto/fleet";
import { RegistrationSchema, RegistrationService, RenewalSchema } from "@spanwire/proto/registration";
import { type Channel, openChannel } from "@spanwire/runtime/grpc/channel";
import { clientTlsOf } from "@spanwire/runtime/operator-context/client-tls";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { badBytes, badMessages, untriedFields } from "./bad-values.ts";

type Base = Readonly<Record<string, unknown>>;
/** Several where no one request can have all fields. */
type Bases<S extends DescService> = Readonly<Record<keyof S["method"], Base | readonly Base[]>>;

const label = { a: "b" };
const side = { clusters: ["none"], labels: label };
const allow = {
  direction: 1,
  protocol: 2,
  sources: ["10.0.0.0/8"],
  destinations: ["10.0.0.0/8"],
  ports: [{ first: 1, last: 2 }],
};
const link = { name: "x", left: side, right: side, allow: [allow], transit: "via", deny: false };

const workloads = { issuer: "x", audience: "x", subject: "x", claims: { "/a": "b" }, instanceClaim: "/uid" };

/** A well-formed request for each method, with every field, that the hub refuses all the same: it is about nothing. */
const FLEET: Bases<typeof FleetService> = {
  getVersion: {},
  createToken: { clusterId: "none", ttl: { seconds: 60n }, ordinal: 15 },
  listTokens: {},
  revokeToken: { id: "0000000000000000" },
  listClusters: {},
  getCluster: { id: "none" },
  updateCluster: { id: "none", prefixes: ["10.77.0.0/16"], labels: label, expectedGeneration: 9n, dryRun: false },
  revokeCluster: { id: "none", reason: "test" },
  revokeGateway: { clusterId: "none", ordinal: 0, reason: "test" },
  setDraining: { clusterId: "none", ordinal: 0, draining: true },
  deleteCluster: { id: "none" },
  inviteCluster: [
    { clusterId: "none", issuer: { ...workloads, jwks: "{}", ordinalClaim: "/name" } },
    { clusterId: "none", issuer: { ...workloads, url: "https://issuer.example", caPem: "x", ordinal: 15 } },
  ],
  withdrawInvite: { clusterId: "none" },
  listInvites: {},
  watchAcknowledgements: {
    ended: [{ key: "gateway.none.0", incarnation: 1n, generation: 1n, lineage: 9n, sequence: 9n }],
  },
  getLinkPolicy: {},
  setLinkPolicy: { policy: { defaultLinks: 1, links: [link] }, expectedGeneration: 2n ** 64n - 1n, dryRun: false },
  rotate: {},
  abortRotation: {},
  getRotation: {},
  getStatus: {},
  watchStatus: {},
  createOperator: {
    name: "alice",
    role: 1,
    publicKey: new Uint8Array(91), // of no key
    certificateRequest: new Uint8Array(200),
    ttl: { seconds: 60n },
  },
  listOperators: {},
  revokeOperator: [
    { name: "none", reason: "test" },
    { serial: "00", reason: "test" },
  ],
  readAudit: { after: 2n ** 63n, last: 10_000, follow: false },
  getMap: {},
  exportState: {},
};

const proof = {
  nonce: new Uint8Array(40),
  identityKey: new Uint8Array(32).fill(9),
  signature: new Uint8Array(64),
};
const registration = {
  token: { id: "0000000000000000", secret: new Uint8Array(32) },
  clusterId: "none",
  kind: 2,
  prefixes: ["10.77.0.0/16"],
  labels: label,
  ordinal: 0,
  nkey: `U${"A".repeat(55)}`,
  certificateRequest: new Uint8Array(200),
};
const { token: _token, ...workload } = { ...registration, workloadToken: "e30.e30.AA" };
const renewal = { clusterId: "none", ordinal: 0, certificateRequest: new Uint8Array(200) };
const bodyOf = (schema: typeof RegistrationSchema | typeof RenewalSchema, base: Base) =>
  toBinary(schema, create(schema, base));

const REGISTRATION: Bases<typeof RegistrationService> = {
  challenge: {},
  register: { body: bodyOf(RegistrationSchema, registration), proof },
  renew: { body: bodyOf(RenewalSchema, renewal), proof },
  leave: { body: bodyOf(RenewalSchema, renewal), proof },
};
/** What the signed bodies hold, signed anew for each try. */
const BODIES = [
  { method: "register", schema: RegistrationSchema, bases: [registration, workload] },
  { method: "renew", schema: RenewalSchema, bases: [renewal] },
  { method: "leave", schema: RenewalSchema, bases: [renewal] },
] as const;

/** How a bad request ends: the caller's fault, said so. */
const REFUSALS: ReadonlySet<number | undefined> = new Set([
  status.INVALID_ARGUMENT,
  status.NOT_FOUND,
  status.FAILED_PRECONDITION,
  status.ABORTED,
  status.PERMISSION_DENIED,
  status.UNAUTHENTICATED,
  status.RESOURCE_EXHAUSTED,
]);

let hub: RunningHub;
let operator: Channel;
let anybody: Channel;
let client: RegistrationClient;
beforeAll(async () => {
  hub = await startHub();
  operator = openChannel({ address: hub.ready.fleetAddress, tls: clientTlsOf(hub.context) });
  anybody = openChannel({ address: hub.ready.registrationAddress, tls: { caPem: hub.context.caPem } });
  const token = await hub.token("eu");
  await createTestGateway().register(token, { prefixes: ["10.1.0.0/16"], labels: label });
  client = await openRegistration(token);
  await hub.token("us");
});
afterAll(async () => {
  client?.[Symbol.dispose]();
  for (const channel of [operator, anybody]) channel?.close();
  await hub?.[Symbol.asyncDispose]();
});

const services = [
  { service: FleetService, bases: FLEET, channel: () => operator },
  { service: RegistrationService, bases: REGISTRATION, channel: () => anybody },
] as const;

describe.each(services)("$service.name", ({ service, bases, channel }) => {
  const methods = service.methods.map((method) => ({ name: method.name, method, bases: basesOf(bases, method) }));

  test("has a request with all fields for each method", () => {
    const gaps = methods.map(({ name, method, bases }) => ({ name, untried: untriedByAll(method.input, bases) }));
    expect(gaps.filter(({ untried }) => untried.length > 0)).toEqual([]);
  });

  test("is tried with more than 20 kinds of bad requests", () => {
    const inBodies = BODIES.flatMap(({ method, schema, bases }) =>
      method in service.method ? bases.flatMap((base) => badMessages(schema, base)) : [],
    );
    const kinds = new Set([...methods.flatMap(badRequests), ...inBodies].map(({ kind }) => kind));
    expect(kinds.size).toBeGreaterThan(20);
  });

  test.each(methods)("$name refuses each bad request, and nothing changes", async (method) => {
    const before = await describeMesh();
    const bad = badRequests(method);
    const answers = await Promise.all(bad.map(({ bytes }) => callRaw(channel(), service, method.method, bytes)));
    const wrong = bad.flatMap(({ kind, path }, at) =>
      REFUSALS.has(answers[at]) ? [] : [`${path} ${kind}: status ${answers[at]}`],
    );
    expect(wrong).toEqual([]);
    expect(await describeMesh()).toEqual(before);
    expect(hub.log.events.filter(({ level }) => level === "error")).toEqual([]);
  });
});

test.each(BODIES)("$method refuses each bad field inside a body that is signed", async ({ method, schema, bases }) => {
  const before = await describeMesh();
  expect(untriedByAll(schema, bases)).toEqual([]);
  const name = RegistrationService.method[method].name;
  const gateway = createTestGateway();
  const bad = bases.flatMap((base) => badMessages(schema, base));
  const bodies = [...bad, ...badBytes().map((bad) => ({ ...bad, path: "" }))].filter(
    ({ bytes }) => bytes.length < 1 << 20, // above 4 MiB a call ends before anything of it is looked into
  );
  const wrong: string[] = [];
  for (const { kind, path, bytes } of bodies) {
    const call = await gateway.prove(client, name, bytes);
    const answer = await client[method](call, CALL).then(
      () => "answered",
      (error: { reason: string }) => error.reason,
    );
    if (
      !["INVALID_REQUEST", "TOKEN_UNKNOWN", "WORKLOAD_NOT_INVITED", "UNKNOWN_GATEWAY", "INVALID_NKEY"].includes(answer)
    ) {
      wrong.push(`${path} ${kind}: ${answer}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(await describeMesh()).toEqual(before);
});

function basesOf(bases: Readonly<Record<string, Base | readonly Base[]>>, { localName }: DescMethod): readonly Base[] {
  const said = bases[localName];
  if (said === undefined) throw new Error(`no request for ${localName}`);
  return [said].flat();
}

/** Names of the fields that every base leaves out. */
function untriedByAll(schema: DescMessage, bases: readonly Base[]): readonly string[] {
  const [first = [], ...others] = bases.map((base) => untriedFields(schema, base));
  return first.filter((name) => others.every((untried) => untried.includes(name)));
}

function badRequests({ method, bases }: { readonly method: DescMethod; readonly bases: readonly Base[] }) {
  return [
    ...bases.flatMap((base) => badMessages(method.input, base)),
    ...badBytes().map((bad) => ({ ...bad, path: "" })),
  ];
}

/** The status of the answer; of a stream, of its first message. */
function callRaw(channel: Channel, service: DescService, method: DescMethod, bytes: Uint8Array): Promise<number> {
  const path = `/${service.typeName}/${method.name}`;
  const same = (each: Buffer) => each;
  const deadline = Date.now() + 60_000;
  return new Promise((resolve) => {
    if (method.methodKind === "unary") {
      channel.client.makeUnaryRequest(path, same, same, Buffer.from(bytes), { deadline }, (error) =>
        resolve(error?.code ?? status.OK),
      );
      return;
    }
    const call = channel.client.makeServerStreamRequest(path, same, same, Buffer.from(bytes), { deadline });
    call.on("error", ({ code }: { code: number }) => resolve(code));
    call.once("data", () => {
      resolve(status.OK);
      call.cancel();
    });
    call.once("end", () => resolve(status.OK));
  });
}

/** All that a bad request might have changed. */
async function describeMesh() {
  const { fleet } = hub;
  const [{ clusters }, { tokens }, policy, { invites }, { operators }] = await Promise.all([
    fleet.listClusters({}, CALL),
    fleet.listTokens({}, CALL),
    fleet.getLinkPolicy({}, CALL),
    fleet.listInvites({}, CALL),
    fleet.listOperators({}, CALL),
  ]);
  const { status: mesh } = await fleet.getStatus({}, CALL);
  return { clusters, tokens, policy, invites, operators, sequence: mesh?.sequence, lineage: mesh?.lineage };
}
