import { expect, test } from "vitest";
import { startTestServer } from "../grpc/test-server.ts";
import { createLog } from "../log/create-log.ts";
import { startTracing } from "./start-tracing.ts";
import { startTestCollector } from "./test-collector.ts";

const CALL = { timeoutMs: 60_000 };

test("a call is one trace: the client's span, the server's in it, and the log lines in between", async () => {
  await using collector = await startTestCollector();
  const lines: string[] = [];
  const log = createLog({ name: "test", format: "json", stream: { write: (line) => void lines.push(line) } });
  {
    await using _ = await startTracing({ endpoint: collector.url, serviceName: "spanwire-test" });
    await using server = await startTestServer({
      async getVersion() {
        log.info({}, "asked");
        return {};
      },
      getStatus: () => Promise.reject(new Error("broken")),
    });
    await server.client.getVersion({}, CALL);
    await server.client.getStatus({}, CALL).catch(() => {});
  }

  const spansOf = (method: string) =>
    collector.spans().filter(({ name }) => name === `/spanwire.v1.FleetService/${method}`);
  const [server, client] = spansOf("GetVersion"); // the server's ends first
  expect(server?.parentSpanId).toBe(client?.spanId);
  expect(server?.traceId).toBe(client?.traceId);
  expect(client?.parentSpanId).toBeUndefined();
  expect(JSON.parse(lines[0] ?? "")).toMatchObject({ traceId: server?.traceId, spanId: server?.spanId });
  expect(spansOf("GetStatus").map(({ status }) => status.code)).toEqual([2, 2]);
  expect(collector.bodies.join()).toContain("spanwire-test");
  expect(collector.bodies.join()).not.toContain(process.argv[1]);
});
