import { loadConfig } from "@spanwire/runtime/config/load-config";
import { expect, test } from "vitest";
import { z } from "zod";
import { readSecretsConfig, secretsSchema } from "./secrets-config.ts";

const schema = z.strictObject({ secrets: secretsSchema.prefault({}) });
const load = (env: Record<string, string>) => loadConfig(schema, { env, envPrefix: "HUB_" });
const ROLE_ID = "6d1f0c9a-2c31-4d0e-9b35-1c7b0f3f6e11";

const kubernetes = {
  HUB_SECRETS_TYPE: "vault",
  HUB_SECRETS_ADDRESS: "https://bao.corp:8200",
  HUB_SECRETS_CA_FILE: "/etc/bao-ca.pem",
  HUB_SECRETS_LOGIN_METHOD: "kubernetes",
  HUB_SECRETS_LOGIN_ROLE: "spanwire-hub",
};
const approle = {
  ...kubernetes,
  HUB_SECRETS_LOGIN_METHOD: "approle",
  HUB_SECRETS_LOGIN_ROLE_ID: ROLE_ID,
  HUB_SECRETS_LOGIN_SECRET_ID_FILE: "/etc/secret-id",
};

test("files are the default, and need nothing", async () => {
  expect(readSecretsConfig((await load({})).secrets)).toEqual({ type: "file" });
});

test.each([
  {
    env: { ...kubernetes, HUB_SECRETS_NAMESPACE: "team-a" },
    login: { method: "kubernetes", mount: "kubernetes", role: "spanwire-hub" },
    namespace: "team-a",
  },
  {
    env: { ...approle, HUB_SECRETS_LOGIN_MOUNT: "hubs/approle" },
    login: { method: "approle", mount: "hubs/approle", roleId: ROLE_ID, secretIdFile: "/etc/secret-id" },
  },
])("vault by $login.method", async ({ env, login, namespace }) => {
  expect(readSecretsConfig((await load(env)).secrets)).toMatchObject({
    type: "vault",
    address: "https://bao.corp:8200",
    caFile: "/etc/bao-ca.pem",
    namespace,
    login,
    kv: { mount: "secret", path: "spanwire" },
    transit: { mount: "transit", key: "spanwire-root" },
    pki: { mount: "pki", role: "spanwire" },
    timeoutMs: 5_000,
  });
});

/** What is missing is never filled in: there is no default credential, and no default login. */
test.each([
  { without: "ADDRESS", want: "secrets.address: needed with type vault: https://HOST:8200" },
  { without: "CA_FILE", want: "secrets.caFile: needed with https: the file of the CA" },
  { without: "LOGIN_METHOD", want: "secrets.login.method: needed with type vault: kubernetes or approle" },
  { without: "LOGIN_ROLE_ID", want: "secrets.login.roleId: needed for approle" },
  { without: "LOGIN_SECRET_ID_FILE", want: "secrets.login.secretIdFile: needed for approle" },
])("says what to do when $without is not given", async ({ without, want }) => {
  const env = Object.fromEntries(Object.entries(approle).filter(([name]) => name !== `HUB_SECRETS_${without}`));
  await expect(load(env)).rejects.toThrow(want);
});

test.each([
  { ...kubernetes, HUB_SECRETS_LOGIN_ROLE: "", want: "secrets.login.role: needed for kubernetes" },
  { ...approle, HUB_SECRETS_ADDRESS: "http://bao.corp:8200", want: "secrets.address: must be https" },
  { ...approle, HUB_SECRETS_TYPE: "file", want: "secrets.type: an address is given" },
  {
    ...approle,
    HUB_SECRETS_LOGIN_ROLE_ID: "change-me",
    want: "secrets.login.roleId: roleId: it is the text of an example",
  },
  { ...approle, HUB_SECRETS_LOGIN_SECRET_ID: "x", want: "HUB_SECRETS_LOGIN_SECRET_ID: no setting has this name" },
  { ...approle, HUB_SECRETS_TOKEN: "x", want: "HUB_SECRETS_TOKEN: no setting has this name" },
])("refuses what may not be: $want", async ({ want, ...env }) => {
  await expect(load(env)).rejects.toThrow(want);
});

test("plain http is for a server on the same machine", async () => {
  const env = { ...approle, HUB_SECRETS_ADDRESS: "http://127.0.0.1:8200", HUB_SECRETS_CA_FILE: "" };
  expect(readSecretsConfig((await load(env)).secrets)).toMatchObject({ address: "http://127.0.0.1:8200" });
});
