/** @module The agent's own entry: `node agents/gateway/bin.ts [--config FILE]`, for images that hold nothing else. */
import { parseArgs } from "node:util";
import { VERSION } from "@spanwire/core/version";
import { loadConfig } from "@spanwire/runtime/config/load-config";
import { createLog } from "@spanwire/runtime/log/create-log";
import { createShutdown } from "@spanwire/runtime/shutdown/shutdown";
import { listenToSystemSignals } from "@spanwire/runtime/shutdown/system-signals";
import { agentConfigSchema } from "./config.ts";
import { run } from "./main.ts";

const { values } = parseArgs({ options: { config: { type: "string" } } });
const fallback = createLog({ name: "agent" });
try {
  const config = await loadConfig(agentConfigSchema, {
    file: values.config,
    env: process.env,
    envPrefix: "SPANWIRE_AGENT_",
  });
  const log = createLog({ name: "agent", level: config.logLevel });
  const shutdown = createShutdown({ log });
  using _ = listenToSystemSignals(shutdown, log);
  await run(config, { log, version: VERSION, signal: shutdown.signal });
} catch (err) {
  fallback.error({ err }, "the agent cannot go on");
  process.exitCode = 1;
}
