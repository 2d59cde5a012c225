import { join } from "node:path";
import { makeTestDirectory } from "@spanwire/gateway/testing";
import { type CollectedSpan, startTestCollector } from "@spanwire/runtime/tracing/test-collector";
import { expect, test, vi } from "vitest";
import { execute } from "../lab/execute.ts";
import { requireRoot } from "../lab/require-root.ts";
import { runTier } from "../lab/tier.ts";
import { startHubProcess } from "./hub-process.ts";
import { runCli } from "./run-cli.ts";

const AGENT = join(import.meta.dirname, "../../agents/gateway/bin.ts");
const outcome = await runTier("traces of an agent", async () => requireRoot());

test.skipIf(outcome.kind === "skipped")("from command line and agent a trace goes on in the hub", async () => {
  await using directory = await makeTestDirectory();
  await using collector = await startTestCollector();
  vi.stubEnv("SPANWIRE_HUB_TRACES_ENDPOINT", collector.url);
  await using hub = await startHubProcess();
  const spanwire = (...args: readonly string[]) => runCli(args, { context: hub.contextFile });
  const { stdout: token } = await spanwire("--traces-endpoint", collector.url, "token", "create", "eu");
  const { tokens } = JSON.parse((await spanwire("token", "list", "-o", "json")).stdout);
  await spanwire("token", "revoke", tokens[0].id);

  // It is refused, and ends before it has touched this machine's kernel.
  const env = {
    SPANWIRE_AGENT_STATE_DIR: join(directory.path, "agent"),
    SPANWIRE_AGENT_TOKEN: token.trim(),
    SPANWIRE_AGENT_DATAPLANE: "userspace",
    SPANWIRE_AGENT_TRACES_ENDPOINT: collector.url,
  };
  expect(await execute([process.execPath, AGENT], { env })).toMatchObject({ status: 1 });
  await hub.end("SIGTERM");

  const spans = collector.spans();
  for (const call of ["FleetService/CreateToken", "RegistrationService/Register"]) {
    const [caller, callee] = [spanOf(spans, call, 3), spanOf(spans, call, 2)];
    expect(callee, call).toMatchObject({ traceId: caller?.traceId, parentSpanId: caller?.spanId });
  }
  const services = ["spanwire-cli", "spanwire-agent", "spanwire-hub"];
  for (const name of services) expect(collector.bodies.join()).toContain(`"${name}"`);
  expect(spanOf(spans, "FleetService/RevokeToken", 3)).toBeUndefined(); // nobody asked for it
});

function spanOf(spans: readonly CollectedSpan[], call: string, kind: number): CollectedSpan | undefined {
  return spans.find((span) => span.kind === kind && span.name === `/spanwire.v1.${call}`);
}
