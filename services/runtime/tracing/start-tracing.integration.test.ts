import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { expect, test } from "vitest";
import { startTestServer } from "../grpc/test-server.ts";
import { createLog } from "../log/create-log.ts";
import { startTracing } from "./start-tracing.ts";

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly status: { readonly code?: number };
}

test("a call is one trace: the client's span, the server's in it, and the log lines in between", async () => {
  await using collector = await startCollector();
  const tracing = await startTracing({ endpoint: collector.url, serviceName: "spanwire-test" });
  const lines: string[] = [];
  const log = createLog({ name: "test", format: "json", stream: { write: (line) => void lines.push(line) } });
  {
    await using server = await startTestServer({
      async getVersion() {
        log.info({}, "asked");
        return {};
      },
      getStatus: () => Promise.reject(new Error("broken")),
    });
    await server.client.getVersion({}, { timeoutMs: 5_000 });
    await server.client.getStatus({}, { timeoutMs: 5_000 }).catch(() => {});
  }
  await tracing.close();

  const [server, client] = collector.spans("GetVersion");
  expect(server?.parentSpanId).toBe(client?.spanId);
  expect(server?.traceId).toBe(client?.traceId);
  expect(client?.parentSpanId).toBeUndefined();
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ traceId: server?.traceId, spanId: server?.spanId });
  expect(collector.spans("GetStatus").map(({ status }) => status.code)).toEqual([2, 2]);
  expect(collector.bodies.join()).toContain("spanwire-test");
  expect(collector.bodies.join()).not.toContain(process.argv[1]);
});

async function startCollector() {
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
    /** The spans of a method, the server's first: it ends first. */
    spans(method: string): Span[] {
      const all = bodies.flatMap((body) => JSON.parse(body.slice(body.indexOf(" "))).resourceSpans);
      const spans: Span[] = all.flatMap(({ scopeSpans }) =>
        scopeSpans.flatMap((scope: { spans: Span[] }) => scope.spans),
      );
      return spans.filter(({ name }) => name === `/spanwire.v1.FleetService/${method}`);
    },
    async [Symbol.asyncDispose]() {
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
