import { join } from "node:path";
import { headers } from "@nats-io/transport-node";
import { Secret } from "@spanwire/core/identity/secret";
import type { Change } from "@spanwire/gateway/kernel/change";
import { makeTestDirectory } from "@spanwire/gateway/testing";
import { openNatsOperator } from "@spanwire/hub/nats/operator";
import { openFileSecretStore } from "@spanwire/hub/secrets/file-secret-store";
import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import { createNkeyPair } from "@spanwire/runtime/crypto/nkey";
import { generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { jwtAuthenticator } from "@spanwire/runtime/nats/authenticator";
import { connectNats } from "@spanwire/runtime/nats/connect";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { seed } from "../netns/config.ts";
import { seededRandom } from "../netns/seeded-random.ts";
import { listDifferences, readEntries } from "./chaos-differences.ts";
import { type ChaosGateway, startChaosGateway } from "./chaos-gateway.ts";
import { type ChaosHub, startChaosHub } from "./chaos-hub.ts";
import { type HubProcess, startHubProcess } from "./hub-process.ts";
import type { Frame } from "./nats-frames.ts";
import { type Relay, startRelay } from "./relay.ts";

const SEED = seed();
const CONVERGED = { timeout: 60_000, interval: 100 };
/** Two pings of 10 s that nobody answers, the wait for a new connection, and a busy machine. */
const NOTICED = { timeout: 90_000, interval: 100 };

/** Two gateways, each behind a relay of its own, and a second hub that is behind a third one. */
let hub: ChaosHub;
let second: HubProcess;
let relays: { readonly eu: Relay; readonly us: Relay; readonly hub: Relay };
let gateways: readonly ChaosGateway[];
const open = new AsyncDisposableStack();

beforeAll(async () => {
  const directory = open.use(await makeTestDirectory()).path;
  hub = open.use(await startChaosHub());
  const [eu, us, ofHub] = [await relayed(), await relayed(), await relayed()];
  relays = { eu, us, hub: ofHub };
  second = open.use(await startHubProcess([], { replicaOf: { directory: hub.directory, natsUrl: ofHub.url } }));
  gateways = await Promise.all([joinAs("eu", 1, eu), joinAs("us", 2, us)]);
  for (const gateway of gateways) open.use(gateway);

  async function relayed(): Promise<Relay> {
    return open.use(await startRelay({ directory: join(hub.directory, "nats") }));
  }

  async function joinAs(clusterId: string, index: number, relay: Relay): Promise<ChaosGateway> {
    const { token } = await hub.ask((fleet, options) => fleet.createToken({ clusterId }, options));
    return startChaosGateway({
      directory: join(directory, clusterId),
      token: new Secret(Buffer.from(token)),
      prefixes: [`10.${index}.0.0/16`],
      host: `192.0.2.${index}`,
      patienceMs: 60_000,
      natsUrl: relay.url,
    });
  }
});
afterAll(() => open.disposeAsync());
afterEach(() => {
  for (const relay of Object.values(relays)) relay.trouble({});
});

/** A change that every kernel shows: the one port that is open between the clusters. It only ever grows here. */
let port = 1_000;
async function change(): Promise<void> {
  port += 1;
  const allow = [{ direction: Direction.LEFT_TO_RIGHT, protocol: Protocol.TCP, ports: [{ first: port, last: port }] }];
  const links = [{ name: "shop", left: { clusters: ["eu"] }, right: { clusters: ["us"] }, allow }];
  const policy = { defaultLinks: DefaultLinks.FULL_MESH, links };
  await hub.ask((fleet, options) => fleet.setLinkPolicy({ policy }, options));
}

/** The kernels are as the hub wants them; nobody was removed meanwhile, and no kernel went back to what was before. */
async function expectConverged(): Promise<void> {
  await expect.poll(() => listDifferences(hub, gateways), CONVERGED).toEqual([]);
  for (const { kernel, changes } of gateways) {
    expect(kernel.toString()).toContain(`${port}`);
    expect(changes.filter(({ kind }) => kind.startsWith("remove-"))).toEqual([]);
    const ports = changes.flatMap(portsIn);
    expect(ports).toEqual(ports.toSorted((a, b) => a - b));
  }
}

function portsIn(change: Change): number[] {
  if (change.kind !== "replace-firewall") return [];
  return change.firewall.forward.flatMap(({ ports }) => ports.map(({ first }) => first));
}

/** The second hub reads and writes the store again. */
async function expectSecondWorks(): Promise<void> {
  const fleet = await second.fleet();
  const create = () => fleet.createToken({ clusterId: "asia" }, { timeoutMs: 5_000 }).then(() => "created", String);
  await expect.poll(create, NOTICED).toBe("created");
}

test("slow: changes arrive late, and that is all", async () => {
  for (const relay of Object.values(relays)) relay.trouble({ slow: { delayMs: 30, pieceBytes: 512 } });
  for (let i = 0; i < 5; i++) await change();
  await expectConverged();
  await expectSecondWorks();
  expect(gateways.flatMap(({ conditions }) => conditions)).toEqual([]);
});

test("cut in the middle of a message, again and again: the next connection makes up for it", async () => {
  const { eu, us, hub: ofHub } = relays;
  for (const cut of [[eu], [us], [ofHub], [eu, us, ofHub]]) {
    const before = cut.map(({ taken }) => taken);
    for (const relay of cut) relay.trouble({ cut: true });
    await change();
    await expect.poll(() => cut.every(({ taken }, at) => taken > (before[at] ?? 0)), NOTICED).toBe(true);
  }
  await change();
  await expectConverged();
  await expectSecondWorks();
});

test("half open, either way: silence is noticed, and a new connection is made", async () => {
  const silenced = Object.values(relays);
  const before = silenced.map(({ taken }) => taken);
  relays.eu.trouble({ silent: "to client" });
  relays.us.trouble({ silent: "to server" });
  relays.hub.trouble({ silent: "to client" });
  await change();
  await expect.poll(() => silenced.every(({ taken }, at) => taken > (before[at] ?? 0)), NOTICED).toBe(true);
  for (const relay of silenced) relay.trouble({});
  await expectConverged();
  await expectSecondWorks();
});

test(`lost, doubled, swapped, replayed and tampered with: no kernel goes back, SPANWIRE_SEED=${SEED}`, async () => {
  const random = seededRandom(SEED);
  const done = new Set<string>();
  relays.eu.trouble({ frame: disorder(random, done) });
  relays.us.trouble({ frame: disorder(random, done) });
  for (let i = 0; i < 40 || done.size < 5; i++) await change();
  await expectConverged(); // while it goes on: what the heads tell is enough
  for (const relay of Object.values(relays)) relay.trouble({});
  await change();
  await expectConverged();
});

/** What a relay does to the map's messages at random; notes what it has done. */
function disorder(random: () => number, done: Set<string>): (frame: Frame) => readonly Frame[] {
  const former: Frame[] = [];
  let held: Frame | undefined;
  return (frame) => {
    if (frame.subject?.startsWith("sw.v1.map.") !== true) return [frame];
    former.push(frame);
    const which = random();
    if (which < 0.2) return note("lost", []);
    if (which < 0.4) return note("doubled", [frame, frame]);
    const old = former[Math.floor(random() * former.length)];
    if (which < 0.6 && old !== undefined) return note("replayed", [frame, old]);
    if (which < 0.7) return note("tampered with", [tamper(frame)]);
    if (held === undefined) {
      held = frame;
      return [];
    }
    const late = held;
    held = undefined;
    return note("swapped", [frame, late]);
  };

  function note(what: string, frames: readonly Frame[]): readonly Frame[] {
    done.add(what);
    return frames;
  }
}

/** Flips a bit inside the record, where neither protocol nor framing notices. */
function tamper({ bytes, subject }: Frame): Frame {
  const changed = Buffer.from(bytes);
  const at = changed.length - 40;
  changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
  return { bytes: changed, subject };
}

test("keys that are deleted and purged come back, and no kernel removes anything", async () => {
  const stop = new AbortController();
  const state = await connectAsHub(stop.signal);
  const entries = async () => (await readEntries(hub)).map(({ key }) => key).sort();
  const before = await entries();
  for (const [operation, key] of [
    ["DEL", "gateway.us.0"],
    ["PURGE", "cluster.us"],
    ["PURGE", "policy.links"],
  ] as const) {
    const header = headers();
    header.set("KV-Operation", operation);
    if (operation === "PURGE") header.set("Nats-Rollup", "sub");
    await state.request(`$KV.sw-map.${key}`, "", { headers: header, timeout: 20_000 });
  }
  stop.abort();
  await change();
  await expectConverged();
  expect(await entries()).toEqual(before);
});

/** With the hub's own right to write state. */
async function connectAsHub(signal: AbortSignal) {
  const operator = await openNatsOperator(await openFileSecretStore(join(hub.directory, "secrets")));
  const user = createNkeyPair("user", generateSigningKey().privateKey);
  const jwt = () => operator.hubUserJwt("state", { nkey: user.publicKey, nowMs: Date.now() });
  const { caPem } = await hub.context();
  const authenticator = jwtAuthenticator({ jwt, user });
  const servers = [relays.eu.url];
  return connectNats({ servers, name: "test", tls: { caPem }, authenticator, log: createRecordingLog(), signal });
}
