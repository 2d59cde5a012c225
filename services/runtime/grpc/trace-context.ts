/** @module W3C trace context in the headers of a call. Without a configured tracer all of it does nothing. */
import type { Metadata } from "@grpc/grpc-js";
import {
  type Context,
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
} from "@opentelemetry/api";

/** Runs the server's side of a call in a span that continues the caller's trace. */
export function inServerSpan<T>(path: string, headers: ReadonlyMap<string, string>, run: () => Promise<T>): Promise<T> {
  const parent = propagation.extract(ROOT_CONTEXT, headers, {
    get: (carrier, key) => carrier.get(key),
    keys: (carrier) => [...carrier.keys()],
  });
  return inSpan(path, SpanKind.SERVER, parent, run);
}

/** Runs the client's side of a call in a span of its own, and writes it into the headers for the server. */
export function inClientSpan<T>(path: string, headers: Metadata, run: () => Promise<T>): Promise<T> {
  return inSpan(path, SpanKind.CLIENT, context.active(), () => {
    injectTrace(headers);
    return run();
  });
}

/** Writes the active span into the headers. */
export function injectTrace(headers: Metadata): void {
  propagation.inject(context.active(), headers, { set: (carrier, key, value) => carrier.set(key, value) });
}

function inSpan<T>(path: string, kind: SpanKind, parent: Context, run: () => Promise<T>): Promise<T> {
  const attributes = { "rpc.system": "grpc", "rpc.method": path };
  return trace.getTracer("spanwire").startActiveSpan(path, { kind, attributes }, parent, async (span) => {
    try {
      return await run();
    } catch (error) {
      fail(span, error);
      throw error;
    } finally {
      span.end();
    }
  });
}

function fail(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) });
}
