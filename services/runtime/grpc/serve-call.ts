/** @module One call from bytes to bytes: context, interceptors, decoding, validation, handler, errors. */
import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type Message,
  type MessageInitShape,
  toBinary,
} from "@bufbuild/protobuf";
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  Metadata,
  ServerWritableStream,
  StatusObject,
} from "@grpc/grpc-js";
import type { Logger } from "../log/logger.ts";
import { deadlineOf, watchCall } from "./call-signal.ts";
import type { CallContext } from "./context.ts";
import type { BoundMethod } from "./handlers.ts";
import { type Interceptor, intercept } from "./interceptor.ts";
import { InvalidRequest } from "./invalid-request.ts";
import { peerOf, type ServerCall } from "./peer.ts";
import type { RequestValidator } from "./request-validator.ts";
import { internalError, toStatus } from "./to-status.ts";
import { inServerSpan } from "./trace-context.ts";

export interface CallOptions {
  readonly interceptors: readonly Interceptor[];
  readonly validate: RequestValidator;
  readonly log: Logger;
  /** Limits a unary call whose caller set no deadline. */
  readonly unaryTimeoutMs: number;
  /** Aborts when the server closes: streams end then, unary calls may finish. */
  readonly closing: AbortSignal;
}

type Unary = Extract<BoundMethod, { kind: "unary" }>;
type Streaming = Extract<BoundMethod, { kind: "server_streaming" }>;

/** Serves a method with one answer. */
export function serveUnary({ method, handler }: Unary, options: CallOptions): handleUnaryCall<Buffer, Buffer> {
  return async (call, answer) => {
    let reply: Buffer | undefined;
    const failure = await serve(method, call, options, async (request, context) => {
      reply = encode(method.output, await orAborted(handler(request, context), context.signal));
    });
    answer(failure ?? null, reply);
  };
}

/** Serves a method with a stream of answers, no faster than the caller reads them. */
export function serveStream(bound: Streaming, options: CallOptions): handleServerStreamingCall<Buffer, Buffer> {
  const { method, handler } = bound;
  return async (call) => {
    const failure = await serve(method, call, options, async (request, context) => {
      for await (const message of handler(request, context)) {
        context.signal.throwIfAborted();
        if (!call.write(encode(method.output, message))) await drained(call, context.signal);
      }
      context.signal.throwIfAborted();
    });
    if (failure === undefined) call.end();
    else call.emit("error", failure);
  };
}

type Handle = (request: Message, context: CallContext) => Promise<void>;

async function serve(
  method: DescMethod,
  call: ServerCall,
  options: CallOptions,
  handle: Handle,
): Promise<Partial<StatusObject> | undefined> {
  const isUnary = method.methodKind === "unary";
  const { signal, end, finish } = watchCall(call, {
    timeoutMs: isUnary ? options.unaryTimeoutMs : undefined,
    closing: isUnary ? undefined : options.closing,
  });
  const headers = textHeaders(call.metadata);
  const context: CallContext = {
    peer: peerOf(call),
    metadata: headers,
    signal,
    deadline: deadlineOf(call),
    traceparent: headers.get("traceparent"),
  };
  const run = async () => {
    const request = decode(method.input, call.request);
    options.validate(method.input, request);
    await handle(request, context);
  };
  try {
    await inServerSpan(call.getPath(), headers, () => intercept(options.interceptors, { method, context, end }, run));
    return undefined;
  } catch (error) {
    // Whatever a handler throws because its signal aborted, the reason of the abort is what happened.
    const known = toStatus(signal.aborted ? signal.reason : error);
    if (known !== undefined) return known;
    options.log.error({ err: error, method: call.getPath(), peer: context.peer.address }, "call failed unexpectedly");
    return internalError();
  } finally {
    finish();
  }
}

function decode(schema: DescMessage, bytes: Uint8Array): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (cause) {
    const description = "the bytes are not a message of this type";
    throw new InvalidRequest(schema.name, [{ field: "", description, rule: "encoding" }], { cause });
  }
}

function encode(schema: DescMessage, message: MessageInitShape<DescMessage>): Buffer {
  const bytes = toBinary(schema, create(schema, message));
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** The answer of a handler, or the abort: the caller is answered in time even if the handler ignores its signal. */
function orAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** A cancelled stream never drains, so both are waited for. */
function drained(call: ServerWritableStream<Buffer, Buffer>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      call.off("drain", done);
      signal.removeEventListener("abort", done);
      resolve();
    };
    call.once("drain", done);
    signal.addEventListener("abort", done, { once: true });
  });
}

function textHeaders(metadata: Metadata): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(metadata.getMap()).flatMap(([name, value]) => (typeof value === "string" ? [[name, value]] : [])),
  );
}
