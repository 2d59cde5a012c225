import { once } from "node:events";
import { connect } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { createNoopMeter } from "@opentelemetry/api";
import { SpanwireError } from "@spanwire/core/errors";
import { Health, HealthCheckResponse_ServingStatus as Serving } from "@spanwire/proto/grpc/health/v1/health";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "@spanwire/proto/grpc/reflection/v1/reflection";
import fc from "fast-check";
import { expect, test } from "vitest";
import { createClient } from "./client.ts";
import { measureCalls } from "./measure-calls.ts";
import { methodPath } from "./method-definition.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const timeoutMs = 60_000;

test("health is asked for and followed", async () => {
  await using server = await startTestServer({});
  const health = createClient(Health, server.channel);
  const check = async (service: string) => (await health.check({ service }, { timeoutMs })).status;
  expect(await check("")).toBe(Serving.NOT_SERVING);
  const watch = health.watch({ service: "spanwire.v1.FleetService" });
  expect((await watch.next()).value?.status).toBe(Serving.NOT_SERVING);
  server.server.setServing(true);
  expect((await watch.next()).value?.status).toBe(Serving.SERVING);
  expect(await check("spanwire.v1.FleetService")).toBe(Serving.SERVING);
  await expect(check("other")).rejects.toMatchObject({ code: "not-found" });
  await watch.return();
});

test("reflection lists the services and describes each with all that it imports", async () => {
  await using server = await startTestServer({});
  const [list, file, method, missing] = await reflect(server, [
    { messageRequest: { case: "listServices", value: "" } },
    { messageRequest: { case: "fileByFilename", value: "spanwire/v1/fleet.proto" } },
    { messageRequest: { case: "fileContainingSymbol", value: "spanwire.v1.FleetService.GetStatus" } },
    { messageRequest: { case: "fileContainingSymbol", value: "spanwire.v1.Nothing" } },
  ]);
  expect(list?.case === "listServicesResponse" && list.value.service.map(({ name }) => name)).toEqual([
    "spanwire.v1.FleetService",
    "grpc.health.v1.Health",
  ]);
  for (const answer of [file, method]) {
    const files = answer?.case === "fileDescriptorResponse" ? answer.value.fileDescriptorProto : [];
    const protos = files.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    const names = new Set(protos.map(({ name }) => name));
    expect(protos[0]?.name).toBe("spanwire/v1/fleet.proto");
    expect(protos.flatMap(({ dependency }) => dependency).filter((name) => !names.has(name))).toEqual([]);
  }
  expect(missing?.case === "errorResponse" && missing.value.errorCode).toBe(5);
});

test("calls are measured by method and outcome", async () => {
  const recorded: unknown[] = [];
  const meter = createNoopMeter();
  meter.createHistogram = () => ({ record: (_seconds, labels) => recorded.push(labels) });
  await using server = await startTestServer(
    {
      getVersion: async () => ({}),
      listTokens: () => Promise.reject(new SpanwireError("denied", "no")),
      getStatus: () => Promise.reject(new Error("broken")),
    },
    { interceptors: [measureCalls(meter)] },
  );
  await server.client.getVersion({}, { timeoutMs });
  await Promise.allSettled([server.client.listTokens({}, { timeoutMs }), server.client.getStatus({}, { timeoutMs })]);
  expect(recorded).toEqual([
    { method: "spanwire.v1.FleetService/GetVersion", outcome: "ok" },
    { method: "spanwire.v1.FleetService/ListTokens", outcome: "denied" },
    { method: "spanwire.v1.FleetService/GetStatus", outcome: "internal" },
  ]);
});

test("closing ends streams with a reason, refuses new calls and lets a unary call finish", async () => {
  const finish = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  await using server = await startTestServer({
    async getVersion() {
      started.resolve();
      await finish.promise;
      return { version: "done" };
    },
    async *exportState(_, { signal }) {
      yield { key: "first" };
      await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
    },
  });
  const unary = server.client.getVersion({}, { timeoutMs });
  const stream = server.client.exportState({});
  await Promise.all([started.promise, stream.next()]);
  const closed = server.server.close();
  await expect(stream.next()).rejects.toMatchObject({ reason: "SERVER_CLOSING", retryable: true });
  finish.resolve();
  expect((await unary).version).toBe("done");
  await closed;
  await expect(server.client.getVersion({}, { timeoutMs })).rejects.toMatchObject({ code: "unavailable" });
});

test("closing cuts what has not finished when the grace is over", async () => {
  const started = Promise.withResolvers<void>();
  const server = await startTestServer({
    getVersion() {
      started.resolve();
      return new Promise(() => {});
    },
  });
  const unary = server.client.getVersion({}, { timeoutMs });
  await started.promise;
  await Promise.all([server.server.close(50), expect(unary).rejects.toMatchObject({ code: "unavailable" })]);
  server.channel.close();
});

test("a connection that says nothing does not keep the server from closing", async () => {
  const server = await startTestServer({});
  const socket = connect(server.server.port, "127.0.0.1");
  socket.resume();
  await once(socket, "connect");
  await Promise.all([server.server.close(50), once(socket, "close")]);
  server.channel.close();
});

test("connections above the limit are closed, and there is room again when one leaves", async () => {
  await using server = await startTestServer({ getVersion: async () => ({}) }, { limits: { connections: 2 } });
  const held = [connect(server.server.port, "127.0.0.1"), connect(server.server.port, "127.0.0.1")];
  await Promise.all(held.map((socket) => once(socket, "connect")));
  await expect(server.client.getVersion({}, { timeoutMs })).rejects.toMatchObject({ code: "unavailable" });
  for (const socket of held) socket.destroy();
  await expect
    .poll(() =>
      server.client.getVersion({}, { timeoutMs }).then(
        () => "answered",
        () => "refused",
      ),
    )
    .toBe("answered");
});

test("random bytes on the port neither crash nor block the server", async () => {
  await using server = await startTestServer({ getVersion: async () => ({ version: "alive" }) });
  const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), fc.boolean(), async (bytes, asHttp2) => {
      const socket = connect(server.server.port, "127.0.0.1");
      socket.on("error", () => {});
      const closed = once(socket, "close").catch(() => {});
      socket.end(asHttp2 ? Buffer.concat([preface, bytes]) : bytes);
      socket.resume();
      await closed;
    }),
    { numRuns: 200 },
  );
  expect((await server.client.getVersion({}, { timeoutMs })).version).toBe("alive");
});

test("listening on a port that is taken is an error", async () => {
  await using server = await startTestServer({});
  await expect(startTestServer({}, { address: { host: "127.0.0.1", port: server.server.port } })).rejects.toThrow(
    "EADDRINUSE",
  );
});

type Question = Parameters<typeof create<typeof ServerReflectionRequestSchema>>[1];

async function reflect({ channel }: TestServer, questions: readonly Question[]) {
  const asIs = (bytes: Buffer) => bytes;
  const call = channel.client.makeBidiStreamRequest(
    methodPath(ServerReflection.method.serverReflectionInfo),
    asIs,
    asIs,
  );
  for (const question of questions) {
    call.write(Buffer.from(toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, question))));
  }
  call.end();
  const answers = [];
  for await (const bytes of call) answers.push(fromBinary(ServerReflectionResponseSchema, bytes).messageResponse);
  return answers;
}
