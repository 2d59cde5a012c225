/** @module Starts a gRPC server and stops it without cutting calls. */
import { createServer, type Server as NetServer, type Socket } from "node:net";
import { Server, ServerCredentials, type UntypedHandleCall } from "@grpc/grpc-js";
import type { Logger } from "../log/logger.ts";
import type { BoundService } from "./handlers.ts";
import { createHealthService } from "./health-service.ts";
import type { Interceptor } from "./interceptor.ts";
import { toMethodDefinition } from "./method-definition.ts";
import { addReflection } from "./reflection-service.ts";
import { createRequestValidator } from "./request-validator.ts";
import { type CallOptions, serveStream, serveUnary } from "./serve-call.ts";
import type { ServerTls } from "./server-tls.ts";

export interface ServeOptions {
  readonly services: readonly BoundService[];
  /** Absent is plain text: for tests on one machine only. */
  readonly tls?: ServerTls | undefined;
  readonly address: { readonly host: string; readonly port: number };
  readonly log: Logger;
  readonly interceptors?: readonly Interceptor[];
  readonly limits?: Partial<ServeLimits>;
}

export interface ServeLimits {
  /** Of one message, in both directions. */
  readonly messageBytes: number;
  /** Open at once on the port; more are refused by closing them. */
  readonly connections: number;
  /** Calls at once on one connection; more wait at the caller. */
  readonly streamsPerConnection: number;
  /** A unary call without a deadline of its own ends after this time. */
  readonly unaryTimeoutMs: number;
  /** A connection without a call is closed after this time; clients open it again when they need it. */
  readonly idleMs: number;
}

const LIMITS: ServeLimits = {
  messageBytes: 4 * 1024 * 1024,
  connections: 10_000,
  streamsPerConnection: 100,
  unaryTimeoutMs: 60_000,
  idleMs: 5 * 60_000,
};
/** Finds a peer that is gone without a word within 40 s. */
const KEEPALIVE = { "grpc.keepalive_time_ms": 30_000, "grpc.keepalive_timeout_ms": 10_000 };

export interface RunningServer {
  /** The port it listens on, also where 0 was asked for. */
  readonly port: number;
  /** What the health service answers; false after the start. */
  setServing(serving: boolean): void;
  /** Ends streams, lets unary calls finish for at most `graceMs`, then cuts what is left. Idempotent. */
  close(graceMs?: number): Promise<void>;
}

/** Starts the services with health and reflection. Rejects when it cannot listen. */
export async function serve(options: ServeOptions): Promise<RunningServer> {
  const limits = { ...LIMITS, ...options.limits };
  const closing = new AbortController();
  const health = createHealthService(options.services.map(({ service }) => service.typeName));
  const server = createGrpcServer(options, limits, closing.signal, health);
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  const sockets = new Set<Socket>();
  // Listening ourselves: grpc-js limits no connections, and replaces certificates only by an experimental interface.
  const onConnection = (socket: Socket) => {
    socket.on("error", ignore);
    injector.injectConnection(socket);
  };
  const listener = options.tls?.createListener(onConnection) ?? createServer({ noDelay: true }, onConnection);
  listener.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", ignore);
  });
  listener.maxConnections = limits.connections;
  const port = await listen(listener, options.address);
  listener.on("error", (err) => options.log.warn({ err }, "accepting a connection failed"));

  const close = async (graceMs = 5_000) => {
    health.setServing(false);
    const ended = Promise.all([endListener(listener), endCalls(server)]);
    closing.abort();
    const force = setTimeout(() => {
      server.forceShutdown();
      for (const socket of sockets) socket.destroy();
    }, graceMs);
    await ended;
    clearTimeout(force);
  };
  let closed: Promise<void> | undefined;
  return {
    port,
    setServing: health.setServing,
    close: (graceMs) => {
      closed ??= close(graceMs);
      return closed;
    },
  };
}

function createGrpcServer(
  options: ServeOptions,
  limits: ServeLimits,
  closing: AbortSignal,
  health: BoundService,
): Server {
  const server = new Server({
    ...KEEPALIVE,
    "grpc.max_receive_message_length": limits.messageBytes,
    "grpc.max_send_message_length": limits.messageBytes,
    "grpc.max_concurrent_streams": limits.streamsPerConnection,
    "grpc.max_connection_idle_ms": limits.idleMs,
    "grpc.enable_channelz": 0,
  });
  const { interceptors = [], log } = options;
  const { unaryTimeoutMs } = limits;
  const callOptions: CallOptions = { interceptors, validate: createRequestValidator(), log, unaryTimeoutMs, closing };
  for (const service of options.services) addService(server, service, callOptions);
  // Probes have no identity: the interceptors, which ask for one, are not theirs.
  addService(server, health, { ...callOptions, interceptors: [] });
  addReflection(
    server,
    [...options.services, health].map(({ service }) => service),
  );
  return server;
}

function addService(server: Server, { methods }: BoundService, options: CallOptions): void {
  const handlers = methods.map((bound): [string, UntypedHandleCall] => [
    bound.method.localName,
    bound.kind === "unary" ? serveUnary(bound, options) : serveStream(bound, options),
  ]);
  const definitions = methods.map(({ method }) => [method.localName, toMethodDefinition(method)] as const);
  server.addService(Object.fromEntries(definitions), Object.fromEntries(handlers));
}

function listen(listener: NetServer, { host, port }: ServeOptions["address"]): Promise<number> {
  return new Promise((resolve, reject) => {
    listener.once("error", reject);
    listener.listen({ host, port }, () => {
      listener.off("error", reject);
      const bound = listener.address();
      resolve(bound !== null && typeof bound === "object" ? bound.port : port);
    });
  });
}

function endListener(listener: NetServer): Promise<void> {
  return new Promise((resolve) => listener.close(() => resolve()));
}

function endCalls(server: Server): Promise<void> {
  return new Promise((resolve) => server.tryShutdown(() => resolve()));
}

/** A connection that a peer resets is the peer's affair; its calls learn of it as cancelled. */
function ignore(): void {}
