import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { jetstreamManager } from "@nats-io/jetstream";
import { MAP_BUCKET, REGISTRY_BUCKET, STATUS_BUCKET } from "@spanwire/core/subjects";
import { randomBytes } from "@spanwire/runtime/crypto/random";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { NatsServer } from "../../test/lab/nats.ts";
import { startNatsCluster } from "../../test/lab/nats-cluster.ts";
import { openAuthority } from "./authority/authority.ts";
import { openHubConnections } from "./nats/hub-connections.ts";
import { openNatsOperator } from "./nats/operator.ts";
import { renderServerConfig } from "./nats/server-config.ts";
import { openFileSecretStore } from "./secrets/file-secret-store.ts";
import { CALL, makeDirectory, type RunningHub, startHub } from "./testing.ts";

const SOON_MS = 180_000;
const BUCKETS = [MAP_BUCKET, REGISTRY_BUCKET, STATUS_BUCKET];
const soon = { timeout: SOON_MS, interval: 200 };

let directory: Awaited<ReturnType<typeof makeDirectory>>;
let servers: readonly NatsServer[];
const configs = new Map<string, string>();
beforeAll(async () => {
  directory = await makeDirectory();
  const secrets = await openFileSecretStore(join(directory.path, "secrets"));
  const { ca } = await openAuthority(secrets, { nowMs: Date.now(), randomBytes });
  const operator = await openNatsOperator(secrets);
  const certificate = await ca.issueServer({ hosts: ["127.0.0.1"], nowMs: Date.now(), lifetimeMs: 3_600_000 });
  const tls = { certificateFile: join(directory.path, "crt"), keyFile: join(directory.path, "key") };
  await writeFile(tls.certificateFile, certificate.chainPem);
  await writeFile(tls.keyFile, certificate.privateKeyPem.reveal());
  for (const name of ["n0", "n1", "n2"]) {
    const own = join(directory.path, name);
    await mkdir(own);
    configs.set(name, renderServerConfig({ operator, host: "127.0.0.1", port: -1, directory: own, tls }));
  }
  servers = await startNatsCluster(3, (name) => ({ jetstream: false, config: configs.get(name) ?? "" }));
});
afterAll(async () => {
  for (const server of servers) await server[Symbol.asyncDispose]();
  await directory[Symbol.asyncDispose]();
});

const urls = () => servers.map(({ port }) => `tls://127.0.0.1:${port}`);
const production = (replicas: number) =>
  startHub({ dir: directory.path, profile: "production", nats: { servers: urls(), replicas } });

/** A cluster that has just begun, or lost a server, elects its leaders first. */
async function untilItAnswers<T>(start: () => Promise<T>): Promise<T> {
  const outcome: { value?: T; error?: unknown } = {};
  const attempt = async () => {
    try {
      outcome.value = await start();
      return true;
    } catch (error) {
      outcome.error = error;
      return (error as { code?: string }).code !== "unavailable";
    }
  };
  await expect.poll(attempt, soon).toBe(true);
  if (outcome.value === undefined) throw outcome.error;
  return outcome.value;
}

const conditionsOf = async ({ fleet }: RunningHub) =>
  ((await fleet.getStatus({}, CALL)).status?.conditions ?? []).map(({ type, subject, message }) => ({
    type,
    subject,
    message,
  }));

test("the hub's own server, which keeps one copy, is refused in production before anything is made", async () => {
  await using own = await makeDirectory();
  await expect(startHub({ dir: join(own.path, "hub"), profile: "production" })).rejects.toMatchObject({
    reason: "NOT_DURABLE",
    message: expect.stringContaining("keeps one copy of the state: name a NATS cluster in nats.servers"),
  });
});

/** A stream that is grown from one copy has not three of its past at once, and its first server may not go yet. */
async function untilEachCopyIsWhole(): Promise<void> {
  const stop = new AbortController();
  const secrets = await openFileSecretStore(join(directory.path, "secrets"));
  const operator = await openNatsOperator(secrets);
  const { ca } = await openAuthority(secrets, { nowMs: Date.now(), randomBytes });
  const connections = await openHubConnections({
    operator,
    servers: urls(),
    caPem: ca.certificatePem,
    log: createRecordingLog(),
    signal: stop.signal,
  });
  const manager = await jetstreamManager(connections.state);
  const behind = async () =>
    (await Promise.all(BUCKETS.map((name) => manager.streams.info(`KV_${name}`)))).flatMap(({ config, cluster }) =>
      cluster?.replicas?.length === 2 && cluster.replicas.every(({ current }) => current) ? [] : [config.name],
    );
  await expect.poll(behind, soon).toEqual([]);
  stop.abort();
}

test("on a cluster one copy is refused; three synced copies are accepted, and a silent server is not verified until it speaks", {
  timeout: 3 * SOON_MS,
}, async () => {
  await expect(untilItAnswers(() => production(1))).rejects.toMatchObject({
    reason: "NOT_DURABLE",
    message: expect.stringMatching(
      /needs 3 copies of each bucket, sw-map has 1, sw-registry has 1: set nats.replicas to 3/,
    ),
  });
  {
    await using hub = await untilItAnswers(() => production(3));
    expect(await conditionsOf(hub)).toEqual([]);
    await untilEachCopyIsWhole();
  }
  await servers[2]?.kill();
  await using hub = await untilItAnswers(() => production(3));
  expect(await conditionsOf(hub)).toEqual([
    {
      type: "DurabilityNotVerified",
      subject: "n2",
      message: expect.stringMatching(/^not verified: whether nats server n2 has sync_interval: always/),
    },
  ]);
  await servers[2]?.restart();
  await expect.poll(() => conditionsOf(hub), soon).toEqual([]);
});
