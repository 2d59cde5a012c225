/** @module Typed handlers for a service of protobuf-es. */
import type { DescMessage, DescMethod, DescService, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { CallContext } from "./context.ts";

export type UnaryHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: CallContext,
) => Promise<MessageInitShape<O>>;

/** Yields as fast as the caller reads: the bridge asks for the next message only when there is room for it. */
export type StreamHandler<I extends DescMessage, O extends DescMessage> = (
  request: MessageShape<I>,
  context: CallContext,
) => AsyncIterable<MessageInitShape<O>>;

/** One handler for each method, under the method's name; methods with a stream of requests are not served. */
export type Handlers<S extends DescService> = {
  readonly [K in keyof S["method"]]: HandlerOf<S["method"][K]>;
};

type HandlerOf<M extends DescMethod> = M["methodKind"] extends "unary"
  ? UnaryHandler<M["input"], M["output"]>
  : M["methodKind"] extends "server_streaming"
    ? StreamHandler<M["input"], M["output"]>
    : never;

/** A service with its handlers, the types of which are checked and then no longer needed. */
export interface BoundService {
  readonly service: DescService;
  readonly methods: readonly BoundMethod[];
}

export type BoundMethod =
  | { readonly kind: "unary"; readonly method: DescMethod; readonly handler: UnaryHandler<DescMessage, DescMessage> }
  | {
      readonly kind: "server_streaming";
      readonly method: DescMethod;
      readonly handler: StreamHandler<DescMessage, DescMessage>;
    };

/** Joins a service and its handlers. */
export function bindService<S extends DescService>(service: S, handlers: Handlers<S>): BoundService {
  const methods = service.methods.map((method) => {
    // `Handlers` has checked that the handler under a method's name is that method's; TypeScript cannot follow the map.
    const handler = (handlers as Record<string, unknown>)[method.localName];
    return { kind: method.methodKind, method, handler } as BoundMethod;
  });
  return { service, methods };
}
