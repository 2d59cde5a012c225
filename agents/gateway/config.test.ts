import { loadConfig } from "@spanwire/runtime/config/load-config";
import { expect, test } from "vitest";
import { agentConfigSchema } from "./config.ts";

const load = (flags: Record<string, unknown> = {}, env: Record<string, string> = {}) =>
  loadConfig(agentConfigSchema, { env, envPrefix: "SPANWIRE_AGENT_", flags });

test("the defaults are a gateway on a host", async () => {
  expect(await load()).toMatchObject({
    stateDir: "/var/lib/spanwire-agent",
    basePort: 51820,
    dataplane: "kernel",
    kind: "vm",
    endpoints: [],
    routing: { table: 5180, rulePriority: 5180, mark: 0x1000, mask: 0x1000 },
  });
});

test("flags and environment", async () => {
  const config = await load(
    { endpoints: ["192.0.2.1", "gw.example:51900"] },
    { SPANWIRE_AGENT_PREFIXES: "10.1.0.0/16,fd00:1::/64", SPANWIRE_AGENT_LABELS: "{ tier: gold }" },
  );
  expect(config).toMatchObject({
    endpoints: ["192.0.2.1", "gw.example:51900"],
    prefixes: ["10.1.0.0/16", "fd00:1::/64"],
    labels: { tier: "gold" },
  });
});

test("a token has no string form", async () => {
  const { token } = await load({}, { SPANWIRE_AGENT_TOKEN: "sw1.abc" });
  expect(`${token} ${JSON.stringify({ token })}`).toBe('[secret] {"token":"[secret]"}');
});

test.each([
  { name: "host bits", flags: { prefixes: ["10.1.0.1/16"] }, want: "the prefix is 10.1.0.0/16" },
  { name: "no endpoint", flags: { endpoints: ["10.1"] }, want: '"10.1" is no endpoint' },
  { name: "a base port without room", flags: { basePort: 65_530 }, want: "basePort" },
  { name: "an unknown dataplane", flags: { dataplane: "ebpf" }, want: "dataplane" },
  { name: "an unknown setting", flags: { prefix: "10.0.0.0/8" }, want: "no such setting" },
])("refuses $name", async ({ flags, want }) => {
  await expect(load(flags)).rejects.toThrow(want);
});
