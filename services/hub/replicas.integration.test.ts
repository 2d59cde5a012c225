import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { type JoinToken, parseJoinToken } from "@spanwire/core/identity/join-token";
import { FleetService, OperatorRole } from "@spanwire/proto/fleet";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient, type ServiceClient } from "@spanwire/runtime/grpc/client";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { clientTlsOf } from "@spanwire/runtime/operator-context/client-tls";
import { readOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { afterEach, beforeEach, expect, test } from "vitest";
import { dieWithParent } from "../../test/lab/die-with-parent.ts";
import { natsServerPath } from "../../test/lab/nats-server.ts";
import { openAuthority } from "./authority/authority.ts";
import { createRequestedKey } from "./authority/requested-key.ts";
import { PID_FILE } from "./embedded/nats-child.ts";
import { startOwnNats } from "./embedded/own-nats.ts";
import type { HubReady } from "./main.ts";
import { openNatsOperator } from "./nats/operator.ts";
import { openFileSecretStore } from "./secrets/file-secret-store.ts";
import { CALL, createTestGateway, encodeWish, makeDirectory, openRegistration } from "./testing.ts";

interface Replica {
  readonly process: ChildProcess;
  readonly ready: HubReady;
  readonly fleet: ServiceClient<typeof FleetService>;
  kill(): Promise<void>;
}

let directory: Awaited<ReturnType<typeof makeDirectory>>;
let stop: AbortController;
let open: AsyncDisposableStack;
let nats: Awaited<ReturnType<typeof startSharedNats>>;
let a: Replica;
let b: Replica;
beforeEach(async () => {
  stop = new AbortController();
  open = new AsyncDisposableStack();
  directory = open.use(await makeDirectory());
  nats = await startSharedNats(directory.path);
  open.defer(async () => {
    stop.abort();
    await nats.done;
  });
  [a, b] = await Promise.all([startReplica("a"), startReplica("b")]);

  async function startReplica(name: string): Promise<Replica> {
    const dir = join(directory.path, name);
    await cp(join(directory.path, "secrets"), join(dir, "secrets"), { recursive: true });
    const replica = await startHubProcess({ dir, nats: { servers: nats.own } });
    open.defer(() => replica.kill());
    return replica;
  }
});
afterEach(() => open[Symbol.asyncDispose]());

/** A NATS that outlives any hub, with the keys that all hubs share. */
async function startSharedNats(dir: string) {
  const secrets = await openFileSecretStore(join(dir, "secrets"));
  const { ca } = await openAuthority(secrets, { nowMs: Date.now(), randomBytes });
  const [operator, binary] = await Promise.all([openNatsOperator(secrets), natsServerPath()]);
  const where = { directory: join(dir, "nats"), listen: "127.0.0.1", advertise: "127.0.0.1", port: 0 };
  const [log, clock] = [createRecordingLog(), systemClock];
  return startOwnNats({ ...where, binary, operator, ca, log, clock, random: () => 0.1, signal: stop.signal });
}

const natsPid = async () => Number(await readFile(join(directory.path, "nats", PID_FILE), "utf8"));

const program = `
  import { run } from ${JSON.stringify(new URL("./main.ts", import.meta.url).href)};
  import { hubConfigSchema } from ${JSON.stringify(new URL("./config.ts", import.meta.url).href)};
  import { createLog } from "@spanwire/runtime/log/create-log";
  await run(hubConfigSchema.parse(JSON.parse(process.argv.at(-1))), {
    log: createLog({ name: "hub", level: "silent" }),
    searchPath: "",
    signal: new AbortController().signal,
    onReady: (ready) => console.log(JSON.stringify(ready)),
  });
`;

async function startHubProcess(settings: object): Promise<Replica> {
  const limits = { callsPerSecond: 10_000, callBurst: 10_000 };
  const config = { listen: "127.0.0.1", registrationPort: 0, fleetPort: 0, limits, ...settings };
  const node = [process.execPath, "--input-type=module-typescript", "--eval", program, JSON.stringify(config)];
  const [command = "", ...args] = await dieWithParent(node);
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"], cwd: import.meta.dirname });
  const ended = once(child, "exit");
  const lines = createInterface(child.stdout);
  const [line] = await Promise.race([once(lines, "line"), ended]);
  const ready: HubReady = JSON.parse(line);
  const tls = clientTlsOf(await readOperatorContext(ready.contextFile));
  const channel = openChannel({ address: ready.fleetAddress, tls });
  return {
    process: child,
    ready,
    fleet: createClient(FleetService, channel),
    async kill() {
      channel.close();
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function createToken(at: Replica, clusterId: string): Promise<JoinToken> {
  return parseJoinToken((await at.fleet.createToken({ clusterId }, CALL)).token);
}

const through = (token: JoinToken, { ready }: Replica) => ({ ...token, hubAddress: ready.registrationAddress });
const isLeader = async ({ fleet }: Replica) => (await fleet.getVersion({}, CALL)).leader;
const idsAt = async ({ fleet }: Replica) => (await fleet.listClusters({}, CALL)).clusters.map(({ id }) => id);

test("any replica takes what another one began", async () => {
  const token = await createToken(a, "eu");
  const gateway = createTestGateway();
  using atA = await openRegistration(through(token, a));
  const call = await gateway.prove(atA, "Register", encodeWish(token, gateway.nkey, { prefixes: ["10.1.0.0/16"] }));
  using atB = await openRegistration(through(token, b));
  const first = await atB.register(call, CALL);
  expect(await atA.register(call, CALL)).toMatchObject({ ordinal: first.ordinal, incarnation: first.incarnation });
  await gateway.renew(through(token, a));
  await b.fleet.revokeGateway({ clusterId: "eu" }, CALL);
  await expect(gateway.renew(through(token, a))).rejects.toMatchObject({ code: "denied" });
});

test("of overlapping prefixes that race through both one is admitted", async () => {
  const ids = ["c0", "c1", "c2", "c3", "c4", "c5"];
  const tokens = await Promise.all(ids.map((id) => createToken(a, id)));
  const answers = await Promise.allSettled(
    tokens.map((token, at) =>
      createTestGateway().register(through(token, at % 2 === 0 ? a : b), { prefixes: ["10.0.0.0/16"] }),
    ),
  );
  const reasons = answers.flatMap((answer) => (answer.status === "rejected" ? [answer.reason.reason] : []));
  expect(reasons).toEqual(Array.from({ length: 5 }, () => "PREFIX_OVERLAP"));
});

test("an operator whom one hub revokes is refused by the other from its next call on, and a stream there ends", async () => {
  const { publicKeySpki, request, privateKeyPem } = createRequestedKey();
  const key = { publicKey: new Uint8Array(publicKeySpki), certificateRequest: new Uint8Array(request) };
  const { certificatePem } = await a.fleet.createOperator({ name: "alice", role: OperatorRole.ADMIN, ...key }, CALL);
  const { caPem } = await readOperatorContext(b.ready.contextFile);
  const tls = { caPem, certificate: { chainPem: certificatePem, privateKeyPem } };
  using channel = openChannel({ address: b.ready.fleetAddress, tls });
  const alice = createClient(FleetService, channel);
  const watched = alice.watchStatus({});
  expect(await watched.next()).toMatchObject({ done: false });

  const { operators } = await a.fleet.revokeOperator({ name: "alice", reason: "test" }, CALL);
  expect(operators).toMatchObject([{ name: "alice", role: OperatorRole.ADMIN, revokedAt: {} }]);
  await expect(alice.getStatus({}, CALL)).rejects.toMatchObject({ reason: "OPERATOR_REVOKED", code: "denied" });
  const end = (async () => {
    for await (const _ of watched); // whatever was on its way
  })();
  await expect(end).rejects.toMatchObject({ reason: "OPERATOR_REVOKED" });
  await b.fleet.getStatus({}, CALL);
});

// Within 5 s, by a clock that a busy machine does not slow: state/leader.test.ts.
test("a leader that is killed is replaced", async () => {
  await expect.poll(async () => Promise.all([a, b].map(isLeader))).toContain(true);
  const [leader, other] = (await isLeader(a)) ? [a, b] : [b, a];
  expect(await isLeader(other)).toBe(false);
  await leader.kill();
  await expect.poll(() => isLeader(other)).toBe(true);
});

test("no registration that was answered is lost when a hub and then NATS are killed meanwhile", async () => {
  const ids = Array.from({ length: 30 }, (_, at) => `c${at}`);
  const tokens = await Promise.all(ids.map((id) => createToken(a, id)));
  let answered = 0;
  const registrations = tokens.map(async (token, at) => {
    const gateway = createTestGateway();
    const wish = { prefixes: [`10.${at}.0.0/16`] };
    // As an agent does: the same identity until there is an answer, here at the other hub.
    for (let attempt = at; ; attempt++) {
      const answer = await gateway.register(through(token, attempt % 2 === 0 ? a : b), wish).catch((error) => {
        if (error.retryable !== true) throw error;
        return undefined;
      });
      if (answer === undefined) {
        await delay(20);
        continue;
      }
      answered += 1;
      return answer;
    }
  });
  await expect.poll(() => answered).toBeGreaterThan(3);
  await a.kill();
  await expect.poll(() => answered).toBeGreaterThan(10);
  process.kill(await natsPid(), "SIGKILL");
  for (const answer of await Promise.all(registrations)) expect(answer).toMatchObject({ ordinal: 0, incarnation: 1n });
  await expect.poll(() => idsAt(b)).toEqual([...ids].sort());
});
