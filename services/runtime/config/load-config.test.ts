import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { z } from "zod";
import { type ConfigSources, loadConfig } from "./load-config.ts";
import { oneTimeSecretText, secretText } from "./secret-text.ts";

const schema = z.strictObject({
  stateDirectory: z.string().default("/var/lib/spanwire"),
  port: z.number().int().min(0).max(65_535).default(8443),
  verbose: z.boolean().default(false),
  labels: z.record(z.string(), z.string()).default({}),
  nats: z
    .strictObject({
      servers: z.array(z.string().startsWith("nats://")).min(1).default(["nats://127.0.0.1:4222"]),
      creds: secretText.optional(),
    })
    .prefault({}),
});

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-config-"));
});
afterEach(() => rm(directory, { recursive: true }));

async function load({ yaml, ...sources }: Partial<ConfigSources> & { yaml?: string } = {}) {
  const file = join(directory, "hub.yaml");
  if (yaml !== undefined) await writeFile(file, yaml);
  return loadConfig(schema, { env: {}, envPrefix: "SPANWIRE_HUB_", ...(yaml !== undefined && { file }), ...sources });
}

/** The problems, one a line, without the directory of this test. */
async function problems(sources: Parameters<typeof load>[0]): Promise<string> {
  const error = await load(sources).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: "invalid", reason: "CONFIG_INVALID" });
  return (error instanceof Error ? error.message : "").replaceAll(`${directory}/`, "");
}

async function writeSecret(name: string, text: string): Promise<string> {
  await writeFile(join(directory, name), text);
  return join(directory, name);
}

test("nothing given: the defaults", async () => {
  expect(await load()).toEqual({
    stateDirectory: "/var/lib/spanwire",
    port: 8443,
    verbose: false,
    labels: {},
    nats: { servers: ["nats://127.0.0.1:4222"] },
  });
});

test("flags overrule the environment, which overrules the file", async () => {
  const config = await load({
    yaml: "port: 1\nstateDirectory: /file\nnats:\n  servers: [nats://file:1]\n",
    env: { SPANWIRE_HUB_PORT: "2", SPANWIRE_HUB_STATE_DIRECTORY: "/env", HOME: "/root" },
    flags: { port: 3, verbose: undefined },
  });
  expect(config).toMatchObject({
    port: 3,
    stateDirectory: "/env",
    nats: { servers: ["nats://file:1"] },
    verbose: false,
  });
});

test("the environment writes lists with commas, and the rest as YAML does", async () => {
  const config = await load({
    env: {
      SPANWIRE_HUB_NATS_SERVERS: "nats://a:1, nats://b:2",
      SPANWIRE_HUB_VERBOSE: "true",
      SPANWIRE_HUB_LABELS: "{zone: a, n: '1'}",
      SPANWIRE_HUB_STATE_DIRECTORY: "123",
      SPANWIRE_HUB_PORT: "",
    },
  });
  expect(config).toMatchObject({
    nats: { servers: ["nats://a:1", "nats://b:2"] },
    verbose: true,
    labels: { zone: "a", n: "1" },
    stateDirectory: "123",
    port: 8443,
  });
});

test("a secret comes as itself or from a file, and has no text", async () => {
  const file = await writeSecret("creds", "hunter2\n");
  for (const sources of [
    { yaml: "nats: { creds: hunter2 }" },
    { yaml: `nats: { credsFile: ${file} }` },
    { env: { SPANWIRE_HUB_NATS_CREDS: "hunter2" } },
    { env: { SPANWIRE_HUB_NATS_CREDS_FILE: file } },
    { flags: { "nats.credsFile": file } },
    { yaml: "nats: { creds: other }", env: { SPANWIRE_HUB_NATS_CREDS_FILE: file } },
    { yaml: "nats: { credsFile: /nowhere }", env: { SPANWIRE_HUB_NATS_CREDS: "hunter2" } },
  ]) {
    const { nats } = await load(sources);
    expect(Buffer.from(nats.creds?.reveal() ?? "").toString()).toBe("hunter2");
    expect(JSON.stringify(nats)).not.toContain("hunter2");
  }
});

test("each problem says where it is and what to do", async () => {
  const text = await problems({
    yaml: "port: eighty\nnats:\n  servers:\n    - nats://a:1\n    - http://b:2\n  sevrers: []\nprot: 1\n",
    env: { SPANWIRE_HUB_VERBOSE: "loud", SPANWIRE_HUB_NATS_SERVER: "x" },
    flags: { stateDirectory: 5 },
  });
  expect(text).toMatchInlineSnapshot(`
    "config:
      SPANWIRE_HUB_NATS_SERVER: no setting has this name
      --state-directory: stateDirectory: Invalid input: expected string, received number
      hub.yaml:1: port: Invalid input: expected number, received string
      SPANWIRE_HUB_VERBOSE: verbose: Invalid input: expected boolean, received string
      hub.yaml:5: nats.servers.1: Invalid string: must start with "nats://"
      hub.yaml:6: nats.sevrers: no such setting; there are servers, creds
      hub.yaml:7: prot: no such setting; there are stateDirectory, port, verbose, labels, nats"
  `);
});

test.each([
  { name: "no YAML", yaml: "a: [", want: "hub.yaml:1: " },
  { name: "a key twice", yaml: "port: 1\nport: 2\n", want: "hub.yaml:2: Map keys must be unique" },
  { name: "a list", yaml: "- a\n", want: "hub.yaml: must be a mapping of settings" },
  {
    name: "text in the place of a mapping",
    yaml: "nats: x\n",
    want: "hub.yaml:1: nats: Invalid input: expected object",
  },
])("a file that is $name", async ({ yaml, want }) => {
  expect(await problems({ yaml, env: { SPANWIRE_HUB_NATS_CREDS: "x" } })).toContain(want);
});

test("files that are not there are named", async () => {
  expect(await problems({ file: "/nowhere/hub.yaml" })).toContain("/nowhere/hub.yaml: ENOENT");
  expect(await problems({ env: { SPANWIRE_HUB_NATS_CREDS_FILE: "/nowhere/creds" } })).toContain(
    "SPANWIRE_HUB_NATS_CREDS_FILE: nats.credsFile: ENOENT",
  );
});

test("a secret that is used once may be gone, and may not be unreadable", async () => {
  const once = z.strictObject({ token: oneTimeSecretText.optional() });
  const loadToken = (tokenFile: string) => loadConfig(once, { env: {}, envPrefix: "SPANWIRE_", flags: { tokenFile } });
  const { token } = await loadToken(await writeSecret("token", "hunter2\n"));
  expect(Buffer.from(token?.reveal() ?? "").toString()).toBe("hunter2");
  expect(await loadToken(join(directory, "gone"))).toEqual({});
  await expect(loadToken(directory)).rejects.toThrow("--token-file: tokenFile: EISDIR");
});

test("a broken line with a secret is not repeated", async () => {
  expect(await problems({ yaml: "nats:\n  creds: hunter2: x\n" })).not.toContain("hunter2");
  expect(await problems({ yaml: "nats: { creds: [hunter2] }\n" })).not.toContain("hunter2");
});

test("what Kubernetes puts beside our variables is left alone", async () => {
  const env = {
    SPANWIRE_HUB_PORT: "tcp://10.0.0.1:8443",
    SPANWIRE_HUB_SERVICE_HOST: "10.0.0.1",
    SPANWIRE_HUB_SERVICE_PORT_GRPC: "8443",
    SPANWIRE_HUB_PORT_8443_TCP_ADDR: "10.0.0.1",
  };
  expect((await load({ env })).port).toBe(8443);
});

test("a section that is optional stays absent when nothing is given", async () => {
  const vault = z.strictObject({ vault: z.strictObject({ url: z.string(), token: secretText }).optional() });
  expect(await loadConfig(vault, { env: {}, envPrefix: "X_" })).toEqual({});
  await expect(loadConfig(vault, { env: { X_VAULT_TOKEN: "t" }, envPrefix: "X_" })).rejects.toThrow(
    "missing: vault.url",
  );
});

test("two settings with one variable are a mistake in the schema", async () => {
  const clash = z.strictObject({ aB: z.string(), a: z.strictObject({ b: z.string() }) });
  await expect(loadConfig(clash, { env: {}, envPrefix: "X_" })).rejects.toThrow("two settings are A_B");
});
