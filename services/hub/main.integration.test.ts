import { once } from "node:events";
import { readdir, readFile, stat, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { FleetService } from "@spanwire/proto/fleet";
import { Health, HealthCheckResponse_ServingStatus as ServingStatus } from "@spanwire/proto/grpc/health/v1/health";
import { RegistrationService } from "@spanwire/proto/registration";
import { openChannel } from "@spanwire/runtime/grpc/channel";
import { createClient } from "@spanwire/runtime/grpc/client";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { startTestCollector } from "@spanwire/runtime/tracing/test-collector";
import { afterEach, beforeEach, expect, test } from "vitest";
import { startHubProcess } from "../../test/integration/hub-process.ts";
import { hubConfigSchema } from "./config.ts";
import { PID_FILE } from "./embedded/nats-child.ts";
import { run } from "./main.ts";
import { CALL, createTestGateway, makeDirectory, openRegistration, startHub } from "./testing.ts";

let directory: Awaited<ReturnType<typeof makeDirectory>>;
beforeEach(async () => {
  directory = await makeDirectory();
});
afterEach(() => directory[Symbol.asyncDispose]());

const portOf = (address: string) => Number(address.split(":").at(-1));

test("a restart keeps everything, on the same ports", async () => {
  const first = await startHub({ dir: directory.path });
  const gateway = createTestGateway();
  const token = await first.token("eu");
  const joined = await gateway.register(token, { prefixes: ["10.1.0.0/16"] });
  const unused = await first.token("us");
  const { tokens } = await first.fleet.listTokens({}, CALL);
  const { status } = await first.fleet.getStatus({}, CALL);
  await first.stop();

  const { registrationAddress, fleetAddress } = first.ready;
  const ports = { registrationPort: portOf(registrationAddress), fleetPort: portOf(fleetAddress) };
  await using second = await startHub({ dir: directory.path, ...ports });
  expect(second.ready).toEqual(first.ready);
  expect((await second.fleet.listTokens({}, CALL)).tokens).toEqual(tokens);
  const after = (await second.fleet.getStatus({}, CALL)).status;
  expect(after).toMatchObject({ lineage: status?.lineage, sequence: status?.sequence, clusters: status?.clusters });
  expect(await gateway.register(token, { prefixes: ["10.1.0.0/16"] })).toMatchObject({
    ordinal: joined.ordinal,
    incarnation: joined.incarnation,
    credentials: { natsUrls: joined.credentials?.natsUrls },
  });
  await gateway.renew(token);
  await createTestGateway().register(unused, { prefixes: ["10.2.0.0/16"] });
});

test("probes, metrics and health follow the store", async () => {
  await using hub = await startHub({ dir: directory.path, metricsPort: 0 });
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${hub.ready.metricsPort}${path}`);
    return { status: response.status, text: await response.text() };
  };
  using channel = openChannel({ address: hub.ready.registrationAddress, tls: { caPem: hub.context.caPem } });
  const health = createClient(Health, channel);
  const serving = async () => (await health.check({ service: "" }, CALL)).status;
  await createTestGateway().register(await hub.token("eu"), { prefixes: ["10.1.0.0/16"] });
  expect((await get("/healthz")).status).toBe(200);
  expect((await get("/readyz")).status).toBe(200);
  await expect.poll(serving).toBe(ServingStatus.SERVING);
  const { text } = await get("/metrics");
  for (const line of ["spanwire_clusters 1", "spanwire_leader ", "spanwire_map_sequence ", "process_resident_memory"]) {
    expect(text).toContain(line);
  }
  expect(text).toMatch(/spanwire_rpc_seconds_count\{.*Register.*outcome="ok"\} 1/);

  const states = health.watch({ service: "" }, { timeoutMs: 60_000 });
  expect((await states.next()).value?.status).toBe(ServingStatus.SERVING);
  process.kill(Number(await readFile(join(directory.path, "nats", PID_FILE), "utf8")), "SIGKILL");
  expect((await states.next()).value?.status).toBe(ServingStatus.NOT_SERVING);
  expect((await states.next()).value?.status).toBe(ServingStatus.SERVING);
  await states.return();
  await expect.poll(async () => (await get("/readyz")).status).toBe(200);
  expect((await hub.fleet.listClusters({}, CALL)).clusters).toHaveLength(1);
});

test("each RPC is a span in the caller's trace, sent to the collector that is configured", async () => {
  await using collector = await startTestCollector();
  const services = [FleetService, RegistrationService];
  {
    await using hub = await startHub({ dir: directory.path, tracesEndpoint: collector.url });
    using registration = await openRegistration(await hub.token("eu"));
    for (const [service, client] of [
      [FleetService, hub.fleet] as const,
      [RegistrationService, registration] as const,
    ]) {
      for (const { localName, methodKind } of service.methods) {
        // Most of these empty requests are refused, which is a span as well.
        const call = Reflect.get(client, localName)({}, CALL);
        await (methodKind === "unary" ? call : call.next()).catch(() => {});
        if (methodKind !== "unary") await call.return();
      }
    }
  }
  const spans = collector.spans();
  const ofServer = spans.filter(({ kind }) => kind === 2);
  const paths = services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `/${typeName}/${name}`));
  expect(new Set(ofServer.map(({ name }) => name))).toEqual(new Set(paths));
  const client = spans.find(({ kind, name }) => kind === 3 && name.endsWith("/Renew"));
  expect(ofServer.find(({ name }) => name.endsWith("/Renew"))).toMatchObject({
    traceId: client?.traceId,
    parentSpanId: client?.spanId,
  });
});

test("what is written beside the store is for the owner only, and the CLI's context works at once", async () => {
  await using hub = await startHub({ dir: directory.path });
  expect((await stat(hub.ready.contextFile)).mode & 0o777).toBe(0o600);
  expect((await stat(directory.path)).mode & 0o077).toBe(0);
  expect(await hub.fleet.getVersion({}, CALL)).toMatchObject({ meshId: hub.context.meshId });
  expect(await readdir(directory.path)).toEqual(["context.json", "nats", "secrets"]);
});

test("stops while calls are open, and leaves no nats-server behind", async () => {
  const hub = await startHub({ dir: directory.path });
  const watching = hub.fleet.watchStatus({});
  await watching.next();
  const next = watching.next().catch((error: unknown) => error);
  const pid = Number(await readFile(join(directory.path, "nats", PID_FILE), "utf8"));
  await hub.stop();
  expect(await next).toMatchObject({ code: "unavailable" });
  expect(() => process.kill(pid, 0)).toThrow("ESRCH");
});

test("gives up starting when it is asked to end", async () => {
  const stopping = new AbortController();
  const config = hubConfigSchema.parse({ dir: directory.path, nats: { servers: ["nats://127.0.0.1:1"] } });
  const log = createRecordingLog();
  const outcome = run(config, { log, searchPath: "", signal: stopping.signal }).catch((error: unknown) => error);
  await expect.poll(() => log.events.map(({ message }) => message)).toContain("connecting to nats failed");
  stopping.abort(new Error("stopped by test"));
  expect(await outcome).toMatchObject({ message: "stopped by test" });
});

test("says what to do when there is no nats-server", async () => {
  const config = hubConfigSchema.parse({ dir: directory.path });
  const options = { log: createRecordingLog(), searchPath: "", signal: new AbortController().signal };
  await expect(run(config, options)).rejects.toThrow("--nats-server");
});

test("does not start with a seed of an example file, and says which", async () => {
  const seedFile = join(directory.path, "seed");
  await writeFile(seedFile, "SA_REPLACE_ME_WITH_THE_SEED_OF_A_SIGNING_KEY\n");
  const account = { id: "A", seedFile, operatorSeedFile: seedFile, systemCredsFile: seedFile };
  const config = hubConfigSchema.parse({ dir: directory.path, nats: { servers: ["nats://127.0.0.1:1"], account } });
  const options = { log: createRecordingLog(), searchPath: "", signal: new AbortController().signal };
  await expect(run(config, options)).rejects.toMatchObject({
    reason: "EXAMPLE_CREDENTIAL",
    message: expect.stringContaining(`${seedFile}: it is the text of an example`),
  });
});

test("a start that fails once the store is open ends the process, with the reason", async () => {
  await using taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  const { port } = taken.address() as AddressInfo;
  await expect(startHubProcess(["--fleet-port", `${port}`])).rejects.toThrow(/hub ended: .*EADDRINUSE/s);
});
