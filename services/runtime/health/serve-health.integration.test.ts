import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { createMetrics } from "../metrics/create-metrics.ts";
import { createCounter } from "../metrics/instruments.ts";
import { createChecks } from "./checks.ts";
import { serveHealth } from "./serve-health.ts";

async function start({ enabled = true } = {}) {
  const [live, ready, metrics] = [createChecks(), createChecks(), await createMetrics({ enabled })];
  const server = await serveHealth({ address: { host: "127.0.0.1", port: 0 }, live, ready, metrics });
  const get = async (path: string, method = "GET") => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, { method });
    return { status: response.status, text: await response.text() };
  };
  return { live, ready, metrics, get, port: server.port, [Symbol.asyncDispose]: () => server.close() };
}

test("alive and ready are two questions, each answered by its own checks", async () => {
  await using health = await start();
  let problem: string | undefined = "not connected for 12 s";
  health.ready.add("nats", () => problem);
  health.ready.add("map", () => undefined);
  expect(await health.get("/healthz")).toEqual({ status: 200, text: '{"ok":true,"checks":{}}\n' });
  expect(await health.get("/readyz?verbose")).toEqual({
    status: 503,
    text: '{"ok":false,"checks":{"nats":"not connected for 12 s","map":"ok"}}\n',
  });
  problem = undefined;
  expect((await health.get("/readyz")).status).toBe(200);
});

test("serves the metrics on the same port", async () => {
  await using health = await start();
  createCounter(health.metrics.meter, { name: "spanwire_things", help: "Things", labels: [] }).add({});
  expect((await health.get("/metrics")).text).toContain("spanwire_things_total 1");
});

test("says so where there is nothing", async () => {
  await using health = await start({ enabled: false });
  expect(await health.get("/metrics")).toEqual({ status: 404, text: '{"error":"metrics are off"}\n' });
  expect((await health.get("/")).status).toBe(404);
  expect((await health.get("/healthz", "POST")).status).toBe(405);
});

test("closes although somebody keeps a connection open", async () => {
  const health = await start();
  const socket = connect(health.port, "127.0.0.1").resume();
  await once(socket, "connect");
  await Promise.all([once(socket, "close"), health[Symbol.asyncDispose]()]);
});
