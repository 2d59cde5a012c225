import { mkdtemp, readFile, rm } from "node:fs/promises";
import { connect as connectPlain } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect } from "node:tls";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterEach, beforeEach, expect, test } from "vitest";
import { natsServerPath } from "../../../test/lab/nats-server.ts";
import { type CertificateAuthority, openCertificateAuthority, SERVER_LIFETIME_MS } from "../authority/ca.ts";
import { openHubConnections } from "../nats/hub-connections.ts";
import { type OwnOperator, openNatsOperator } from "../nats/operator.ts";
import { createFakeSecretStore } from "../secrets/fake-secret-store.ts";
import { PID_FILE } from "./nats-child.ts";
import { startOwnNats } from "./own-nats.ts";

const soon = { timeout: 60_000 };
const log = createRecordingLog();

let directory: string;
let operator: OwnOperator;
let ca: CertificateAuthority;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-own-nats-"));
  const secrets = createFakeSecretStore();
  operator = await openNatsOperator(secrets);
  ca = await openCertificateAuthority(secrets, { meshId: "mesh-test", nowMs: Date.now() });
});
afterEach(() => rm(directory, { recursive: true }));

async function start(clock = systemClock) {
  const stop = new AbortController();
  const binary = await natsServerPath();
  const at = { listen: "127.0.0.1", advertise: "localhost", port: 0 };
  const options = { directory, binary, operator, ca, ...at, log, clock, random: () => 0, signal: stop.signal };
  const nats = await startOwnNats(options);
  return {
    nats,
    signal: stop.signal,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await nats.done;
    },
  };
}

test("the hub's users connect over TLS, again after the server was killed, on the port that was chosen first", async () => {
  await using running = await start();
  const { own: servers, caPem, advertised } = running.nats;
  const { state } = await openHubConnections({ operator, servers, caPem, log, signal: running.signal });
  expect(state.info?.jetstream).toBe(true);
  expect(advertised[0]).toMatch(/^tls:\/\/localhost:\d+$/);
  const before = await pid();
  process.kill(before, "SIGKILL");
  for await (const { type } of state.status()) if (type === "reconnect") break;
  expect(await pid()).not.toBe(before);
});

test("a second start in the same directory is refused while the first one lives, and the next one is on the same port", async () => {
  let own: readonly string[];
  {
    await using first = await start();
    const running = await pid();
    await expect(start()).rejects.toMatchObject({ reason: "ALREADY_RUNNING" });
    expect(await pid()).toBe(running);
    own = first.nats.own;
  }
  await using second = await start();
  expect(second.nats.own).toEqual(own);
});

test("the certificate is renewed before it ends, without a new process", async () => {
  const clock = new FakeClock(Date.now());
  const starting = start({
    now: () => clock.now(),
    elapsed: () => clock.elapsed(),
    sleep: (ms, signal) => (ms > 60_000 ? clock : systemClock).sleep(ms, signal),
  });
  await using running = await starting;
  const url = running.nats.own[0] ?? "";
  const [before, first] = [await pid(), await certificateOf(url)];
  await clock.asleep();
  await clock.advance(SERVER_LIFETIME_MS / 3);
  await expect.poll(() => certificateOf(url), soon).not.toBe(first);
  expect(await pid()).toBe(before);
});

async function pid(): Promise<number> {
  return Number(await readFile(join(directory, PID_FILE), "utf8"));
}

/** The serial number that the server shows: NATS begins TLS after its first line. */
function certificateOf(url: string): Promise<string> {
  const plain = connectPlain(Number(new URL(url).port), "127.0.0.1");
  return new Promise((resolve, reject) => {
    plain.once("error", reject);
    plain.once("data", () => {
      const socket = connect({ socket: plain, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
      socket.once("error", reject);
    });
  });
}
