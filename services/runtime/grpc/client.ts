/** @module Typed clients for a service of protobuf-es. */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  fromBinary,
  type Message,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import type { Channel } from "./channel.ts";
import { fromStatus, isServiceError } from "./from-status.ts";
import { toMethodDefinition } from "./method-definition.ts";
import { inClientSpan, injectTrace } from "./trace-context.ts";

export interface UnaryOptions {
  /** When to give up; travels to the server, which gives up then, too. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly metadata?: Readonly<Record<string, string>>;
}

/** Streams may last: without `timeoutMs` until either side ends. */
export type StreamOptions = Omit<UnaryOptions, "timeoutMs"> & Partial<Pick<UnaryOptions, "timeoutMs">>;

/**
 * The methods of a service. They reject with a `SpanwireError`, or with the signal's reason after it has aborted.
 * A stream begins when its first message is asked for, and is cancelled when the consumer stops.
 */
export type ServiceClient<S extends DescService> = {
  readonly [K in keyof S["method"]]: ClientMethod<S["method"][K]>;
};

type ClientMethod<M extends DescMethod> = M["methodKind"] extends "unary"
  ? (request: MessageInitShape<M["input"]>, options: UnaryOptions) => Promise<MessageShape<M["output"]>>
  : M["methodKind"] extends "server_streaming"
    ? (
        request: MessageInitShape<M["input"]>,
        options?: StreamOptions,
      ) => AsyncGenerator<MessageShape<M["output"]>, void>
    : never;

/** Makes the client of one service over a channel. */
export function createClient<S extends DescService>(service: S, channel: Channel): ServiceClient<S> {
  const methods = service.methods.map((method) => [
    method.localName,
    method.methodKind === "unary" ? unary(method, channel) : serverStream(method, channel),
  ]);
  return Object.fromEntries(methods); // of the shape that `ServiceClient` computes from the same descriptor
}

type Init = MessageInitShape<DescMessage>;

function unary(method: DescMethod, channel: Channel) {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(method);
  return async (request: Init, { timeoutMs, signal, metadata }: UnaryOptions): Promise<Message> => {
    const headers = toMetadata(metadata);
    const deadline = Date.now() + timeoutMs;
    const call = () =>
      new Promise<Buffer>((resolve, reject) => {
        signal?.throwIfAborted();
        const cancel = () => running.cancel();
        const running = channel.client.makeUnaryRequest(
          path,
          requestSerialize,
          responseDeserialize,
          encode(method.input, request),
          headers,
          { deadline },
          (error, bytes) => {
            signal?.removeEventListener("abort", cancel);
            if (error !== null) reject(toError(error, method, channel, signal));
            else resolve(bytes ?? Buffer.alloc(0));
          },
        );
        signal?.addEventListener("abort", cancel, { once: true });
      });
    return fromBinary(method.output, await inClientSpan(path, headers, call));
  };
}

function serverStream(method: DescMethod, channel: Channel) {
  const { path, requestSerialize, responseDeserialize } = toMethodDefinition(method);
  return async function* (
    request: Init,
    { timeoutMs, signal, metadata }: StreamOptions = {},
  ): AsyncGenerator<Message, void> {
    signal?.throwIfAborted();
    const headers = toMetadata(metadata);
    injectTrace(headers);
    const deadline = timeoutMs === undefined ? Number.POSITIVE_INFINITY : Date.now() + timeoutMs;
    const bytes = encode(method.input, request);
    const call = channel.client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, bytes, headers, {
      deadline,
    });
    call.on("error", () => {}); // also those that grpc-js emits after the consumer has left
    const cancel = () => call.cancel();
    signal?.addEventListener("abort", cancel, { once: true });
    try {
      for await (const message of call) yield fromBinary(method.output, message);
    } catch (error) {
      throw toError(error, method, channel, signal);
    } finally {
      signal?.removeEventListener("abort", cancel);
      call.cancel();
    }
  };
}

function toError(error: unknown, method: DescMethod, { address }: Channel, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted) return signal.reason;
  return isServiceError(error) ? fromStatus(error, `${method.name} at ${address}`) : error;
}

function toMetadata(headers: Readonly<Record<string, string>> = {}): Metadata {
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
  return metadata;
}

function encode(schema: DescMessage, message: Init): Buffer {
  return Buffer.from(toBinary(schema, create(schema, message)));
}
