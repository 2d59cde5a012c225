/** @module An OTLP collector for tests: takes traces over HTTP and keeps them. */
import { createServer } from "node:http";
import { text } from "node:stream/consumers";

export interface CollectedSpan {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  /** 2 is the server's side of a call, 3 the client's. */
  readonly kind: number;
  readonly status: { readonly code?: number };
}

export interface TestCollector extends AsyncDisposable {
  readonly url: string;
  /** Each "path body" as it came. */
  readonly bodies: readonly string[];
  /** Of all that came, in the order in which they ended. */
  spans(): CollectedSpan[];
}

export async function startTestCollector(): Promise<TestCollector> {
  const bodies: string[] = [];
  const server = createServer(async (request, response) => {
    bodies.push(`${request.url} ${await text(request)}`);
    response.end("{}");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    bodies,
    spans: () =>
      bodies
        .flatMap((body) => JSON.parse(body.slice(body.indexOf(" "))).resourceSpans)
        .flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope: { spans: CollectedSpan[] }) => scope.spans)),
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
