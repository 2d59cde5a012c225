import { connect } from "node:http2";
import { setTimeout } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { type ErrorCode, SpanwireError } from "@spanwire/core/errors";
import { BadRequestSchema, ErrorInfoSchema } from "@spanwire/proto/google/rpc/error_details";
import { StatusSchema } from "@spanwire/proto/google/rpc/status";
import { expect, test } from "vitest";
import type { CallContext } from "./context.ts";
import { DETAILS_KEY } from "./error-details.ts";
import type { InvalidRequest } from "./invalid-request.ts";
import { startTestServer, type TestServer } from "./test-server.ts";

const timeoutMs = 60_000;

test("a unary call carries request, answer, headers and deadline", async () => {
  let seen: CallContext | undefined;
  await using server = await startTestServer({
    getCluster: async ({ id }, context) => {
      seen = context;
      return { cluster: { id, prefixes: ["10.1.0.0/16"], generation: 7n } };
    },
  });
  const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const before = Date.now();
  const { cluster } = await server.client.getCluster(
    { id: "eu" },
    { timeoutMs, metadata: { traceparent, "x-a": "b" } },
  );
  expect(cluster).toMatchObject({ id: "eu", prefixes: ["10.1.0.0/16"], generation: 7n });
  expect(seen?.metadata.get("x-a")).toBe("b");
  expect(seen?.traceparent).toBe(traceparent);
  expect(seen?.peer.address).toMatch(/^127\.0\.0\.1:\d+$/);
  expect(seen?.peer.certificate).toBeUndefined();
  expect(seen?.deadline).toBeGreaterThan(before);
  expect(seen?.deadline).toBeLessThanOrEqual(Date.now() + timeoutMs);
  expect(seen?.signal.aborted).toBe(false);
});

const codes: ErrorCode[] = [
  "invalid",
  "unauthenticated",
  "denied",
  "conflict",
  "not-found",
  "exhausted",
  "unavailable",
  "kernel",
  "corrupt",
];
test.each(
  codes.flatMap((code) => [true, false].map((retryable) => ({ code, retryable }))),
)("an error $code (retryable: $retryable) is the same at the caller", async ({ code, retryable }) => {
  await using server = await startTestServer({
    getVersion: () =>
      Promise.reject(new SpanwireError(code, "prefix is \u{1F6AB} taken\ud800", { reason: "X_Y", retryable })),
  });
  await expect(server.client.getVersion({}, { timeoutMs })).rejects.toMatchObject({
    name: "SpanwireError",
    code,
    reason: "X_Y",
    retryable,
    message: `GetVersion at ${server.address}: prefix is \u{1F6AB} taken\ufffd`,
  });
  expect(server.log.events).toEqual([]);
});

test("an unexpected error is logged, and its text stays inside", async () => {
  const error = new Error("connect postgres://admin:hunter2@10.0.0.5");
  await using server = await startTestServer({
    getVersion: () => Promise.reject(error),
    exportState: () => {
      throw error;
    },
  });
  const failures = [
    await server.client.getVersion({}, { timeoutMs }).catch((e: unknown) => e),
    await collect(server.client.exportState({})).catch((e: unknown) => e),
  ];
  for (const failure of failures) {
    expect(failure).toMatchObject({ code: "unavailable", reason: "INTERNAL", cause: { code: status.INTERNAL } });
    expect(JSON.stringify(failure) + String(failure)).not.toContain("hunter2");
  }
  expect(server.log.events.map(({ level, fields }) => ({ level, err: fields["err"] }))).toEqual([
    { level: "error", err: error },
    { level: "error", err: error },
  ]);
});

test("a request that breaks rules names every field, and the handler never sees it", async () => {
  let calls = 0;
  await using server = await startTestServer({
    updateCluster: async () => {
      calls++;
      return {};
    },
  });
  const failure = await server.client
    .updateCluster({ id: "Not A Label", prefixes: ["10.0.0.0/33"] }, { timeoutMs })
    .catch((error: InvalidRequest) => error);
  expect(failure).toMatchObject({ code: "invalid", reason: "INVALID_REQUEST", retryable: false });
  expect("violations" in failure && failure.violations.map(({ field, rule }) => ({ field, rule }))).toEqual([
    { field: "id", rule: "string.pattern" },
    { field: "prefixes[0]", rule: "string.ip_prefix" },
  ]);
  expect(calls).toBe(0);
});

test("other gRPC clients read the same error as google.rpc.Status", async () => {
  await using server = await startTestServer({});
  const error = await rawCall(server, "/spanwire.v1.FleetService/GetCluster", Buffer.from([0x0a, 0x01, 0x2d])); // id: "-"
  expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
  const [bytes] = error?.metadata.get(DETAILS_KEY) ?? [];
  const { code, message, details } = fromBinary(StatusSchema, Buffer.from(bytes ?? ""));
  expect({ code, message }).toEqual({ code: status.INVALID_ARGUMENT, message: error?.details });
  const info = details.map((any) => anyUnpack(any, ErrorInfoSchema)).find((item) => item !== undefined);
  expect(info).toMatchObject({ domain: "spanwire", reason: "INVALID_REQUEST" });
  const bad = details.map((any) => anyUnpack(any, BadRequestSchema)).find((item) => item !== undefined);
  expect(bad?.fieldViolations.map(({ field, reason }) => ({ field, reason }))).toEqual([
    { field: "id", reason: "string.pattern" },
  ]);
});

test("many violations do not outgrow the trailers", async () => {
  await using server = await startTestServer({});
  const prefixes = Array.from({ length: 250 }, (_, i) => `${"x".repeat(1_000)}${i}`);
  const failure = await server.client
    .updateCluster({ id: "eu", prefixes }, { timeoutMs })
    .catch((e: InvalidRequest) => e);
  expect("violations" in failure && failure.violations.length).toBe(20);
});

test("bytes that are no message are the caller's fault", async () => {
  await using server = await startTestServer({});
  const error = await rawCall(server, "/spanwire.v1.FleetService/GetCluster", Buffer.from([0x0a, 0xff]));
  expect(error).toMatchObject({ code: status.INVALID_ARGUMENT });
  expect(server.log.events).toEqual([]);
});

test("a method that does not exist is said to be so", async () => {
  await using server = await startTestServer({});
  const error = await rawCall(server, "/spanwire.v1.FleetService/Nothing", Buffer.alloc(0));
  expect(error).toMatchObject({ code: status.UNIMPLEMENTED });
});

test.each([
  { name: "request", handlerBytes: 0, requestBytes: 5 * 1024 * 1024 },
  { name: "answer", handlerBytes: 5 * 1024 * 1024, requestBytes: 0 },
])("a $name above 4 MiB is refused", async ({ handlerBytes, requestBytes }) => {
  await using server = await startTestServer({ getVersion: async () => ({ version: "x".repeat(handlerBytes) }) });
  const error = await rawCall(server, "/spanwire.v1.FleetService/GetVersion", Buffer.alloc(requestBytes), {
    unlimited: true,
  });
  expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED });
});

test("the deadline answers in time for a handler that does not care", async () => {
  await using server = await startTestServer({ getVersion: () => new Promise<never>(() => {}) });
  await expect(server.client.getVersion({}, { timeoutMs: 50 })).rejects.toMatchObject({
    code: "unavailable",
    reason: "DEADLINE_EXCEEDED",
  });
});

test("the deadline ends the handler, also where the caller waits on", async () => {
  const aborted: unknown[] = [];
  await using server = await startTestServer({
    getVersion: (_, { signal }) =>
      new Promise<never>(() => signal.addEventListener("abort", () => aborted.push(signal.reason))),
  });
  // A caller of ours gives up at its deadline, and its word may be there first.
  const patient = connect(`http://${server.channel.address}`);
  const call = patient.request({
    ":method": "POST",
    ":path": "/spanwire.v1.FleetService/GetVersion",
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-timeout": "200m",
  });
  call.end(Buffer.alloc(5)); // one empty message
  await expect.poll(() => aborted).toMatchObject([{ reason: "DEADLINE_EXCEEDED" }]);
  patient.destroy();
});

test("a unary call without a deadline gets the server's", async () => {
  await using server = await startTestServer(
    { getVersion: (_, { signal }) => setTimeout(60_000, {}, { signal }) },
    { limits: { unaryTimeoutMs: 50 } },
  );
  const error = await rawCall(server, "/spanwire.v1.FleetService/GetVersion", Buffer.alloc(0));
  expect(error).toMatchObject({ code: status.DEADLINE_EXCEEDED });
});

test("the caller's abort ends the handler, and the caller gets its own reason back", async () => {
  const started = Promise.withResolvers<void>();
  const ended = Promise.withResolvers<unknown>();
  await using server = await startTestServer({
    getVersion: (_, { signal }) => {
      signal.addEventListener("abort", () => ended.resolve(signal.reason));
      started.resolve();
      return setTimeout(60_000, {}, { signal });
    },
  });
  const controller = new AbortController();
  const call = server.client.getVersion({}, { timeoutMs, signal: controller.signal });
  await started.promise;
  const reason = new Error("agent stops");
  controller.abort(reason);
  await expect(call).rejects.toBe(reason);
  expect(await ended.promise).toMatchObject({ reason: "CANCELLED" });
  await expect(server.client.getVersion({}, { timeoutMs, signal: controller.signal })).rejects.toBe(reason);
  expect(server.log.events).toEqual([]);
});

test("a server that is away is unavailable, and tells its address", async () => {
  const server = await startTestServer({});
  await server.server.close(0);
  await expect(server.client.getVersion({}, { timeoutMs })).rejects.toMatchObject({
    code: "unavailable",
    retryable: true,
    message: expect.stringContaining(server.address),
  });
  server.channel.close();
});

test("interceptors wrap calls from the outside in, and can refuse before anything is decoded", async () => {
  const seen: string[] = [];
  await using server = await startTestServer(
    { getVersion: async () => ({ version: "1" }) },
    {
      interceptors: [
        async ({ method, context }, next) => {
          seen.push(`in ${method.name} ${context.metadata.get("user")}`);
          await next().finally(() => seen.push("out"));
        },
        async ({ context }, next) => {
          if (context.metadata.get("user") !== "ana") throw new SpanwireError("denied", "you are not ana");
          await next();
        },
      ],
    },
  );
  expect((await server.client.getVersion({}, { timeoutMs, metadata: { user: "ana" } })).version).toBe("1");
  await expect(server.client.getVersion({}, { timeoutMs, metadata: { user: "bob" } })).rejects.toMatchObject({
    code: "denied",
  });
  await expect(collect(server.client.exportState({}))).rejects.toMatchObject({ code: "denied" });
  expect(await rawCall(server, "/spanwire.v1.FleetService/GetCluster", Buffer.from([0xff]))).toMatchObject({
    code: status.PERMISSION_DENIED,
  });
  expect(seen.slice(0, 4)).toEqual(["in GetVersion ana", "out", "in GetVersion bob", "out"]);
});

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of stream) all.push(item);
  return all;
}

function rawCall(
  { channel }: TestServer,
  path: string,
  request: Buffer,
  { unlimited = false } = {},
): Promise<ServiceError | undefined> {
  const options = { "grpc.max_send_message_length": -1, "grpc.max_receive_message_length": -1 };
  const client = unlimited ? new Client(channel.address, credentials.createInsecure(), options) : channel.client;
  const asIs = (bytes: Buffer) => bytes;
  return new Promise((resolve) => {
    client.makeUnaryRequest(path, asIs, asIs, request, new Metadata(), {}, (error) => {
      if (unlimited) client.close();
      resolve(error ?? undefined);
    });
  });
}
