/** @module The port of a process for probes and scrapes: /healthz, /readyz and /metrics over plain HTTP. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Metrics } from "../metrics/create-metrics.ts";
import type { Checks } from "./checks.ts";

export interface HealthOptions {
  readonly address: { readonly host: string; readonly port: number };
  /** Failing means: restart me. For what only a restart mends. */
  readonly live: Checks;
  /** Failing means: send me no work now. */
  readonly ready: Checks;
  readonly metrics: Metrics;
}

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Many for probes and scrapes, few for somebody who wants to use up the process. */
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;

/** Starts the port; it tells anybody who reaches it what the checks and metrics say, so it belongs on an inner address. */
export async function serveHealth({ address, live, ready, metrics }: HealthOptions): Promise<HealthServer> {
  const server = createServer(
    { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS },
    (request, response) => {
      const path = request.url?.replace(/\?.*/, "");
      if (request.method !== "GET" && request.method !== "HEAD") answer(response, 405, { error: "only GET" });
      else if (path === "/healthz") answerChecks(response, live);
      else if (path === "/readyz") answerChecks(response, ready);
      else if (path === "/metrics") answerScrape(request, response, metrics);
      else answer(response, 404, { error: "not here: /healthz, /readyz and /metrics are" });
    },
  );
  server.maxConnections = MAX_CONNECTIONS;
  const port = await listen(server, address);
  return { port, close: () => close(server) };
}

function answerChecks(response: ServerResponse, checks: Checks): void {
  const result = checks.run();
  answer(response, result.ok ? 200 : 503, result);
}

function answerScrape(request: IncomingMessage, response: ServerResponse, { handleScrape }: Metrics): void {
  if (handleScrape === undefined) answer(response, 404, { error: "metrics are off" });
  else handleScrape(request, response);
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json" });
  response.end(`${JSON.stringify(body)}\n`);
}

function listen(server: Server, { host, port }: HealthOptions["address"]): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.off("error", reject);
      const bound = server.address();
      resolve(bound !== null && typeof bound === "object" ? bound.port : port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
