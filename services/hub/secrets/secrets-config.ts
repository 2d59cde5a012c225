/** @module Settings of the secret store: `secrets` of the hub's configuration. */
import { z } from "zod";
import { refuseExample } from "./refuse-example.ts";
import type { VaultSettings } from "./vault/open-vault.ts";

export type SecretsConfig = { readonly type: "file" } | ({ readonly type: "vault" } & VaultSettings);

const name = z
  .string()
  .regex(/^[A-Za-z0-9_.-]+(\/[A-Za-z0-9_.-]+)*$/, "must be a path of names, without a slash at its ends");
/** Where the kubelet puts the token of a projected volume with the audience that the login's role asks for. */
const POD_TOKEN = "/var/run/secrets/spanwire/vault-token";

/** Flat, so that each setting has an environment variable; what belongs together is checked below. */
export const secretsSchema = z
  .strictObject({
    /** `file`: under the hub's directory. `vault`: in HashiCorp Vault or OpenBao, which then also signs. */
    type: z.enum(["file", "vault"]).default("file"),
    /** "https://bao.example:8200"; http only on the loopback address. */
    address: z.url().optional(),
    /** PEM of the CA that signed the server's certificate; no other is trusted. */
    caFile: z.string().min(1).optional(),
    namespace: z.string().min(1).optional(),
    login: z
      .strictObject({
        method: z.enum(["kubernetes", "approle"]).optional(),
        /** Where the login method is mounted; its name by default. */
        mount: name.optional(),
        /** Of kubernetes. */
        role: z.string().min(1).optional(),
        tokenFile: z.string().min(1).default(POD_TOKEN),
        /** Of approle. The secret id is in a file of its own, which may be replaced while the hub runs. */
        roleId: z.string().min(1).optional(),
        secretIdFile: z.string().min(1).optional(),
      })
      .prefault({}),
    /** A KV version 2 mount, and the path in it under which this mesh's secrets are. */
    kv: z.strictObject({ mount: name.default("secret"), path: name.default("spanwire") }).prefault({}),
    /** The root authority's Ed25519 key. */
    transit: z.strictObject({ mount: name.default("transit"), key: name.default("spanwire-root") }).prefault({}),
    /** The CA; its roles are `<role>-gateway`, `<role>-server` and `<role>-operator`. */
    pki: z.strictObject({ mount: name.default("pki"), role: name.default("spanwire") }).prefault({}),
    /** Of one call, with all its tries. */
    timeoutMs: z.number().int().min(100).max(60_000).default(5_000),
  })
  .superRefine((given, context) => {
    for (const { path, message } of findProblems(given)) context.addIssue({ code: "custom", path, message });
  });

/** As the schema gives them. */
export type SecretsSettings = z.output<typeof secretsSchema>;

interface Problem {
  readonly path: string[];
  readonly message: string;
}

/** The settings as the rest of the hub takes them; of a configuration that the schema has accepted. */
export function readSecretsConfig(given: SecretsSettings): SecretsConfig {
  if (given.type === "file") return { type: "file" };
  const { address = "", caFile, namespace, login, kv, transit, pki, timeoutMs } = given;
  const { method = "kubernetes", mount = method, role = "", tokenFile, roleId = "", secretIdFile = "" } = login;
  const way = method === "kubernetes" ? { method, mount, role, tokenFile } : { method, mount, roleId, secretIdFile };
  return { type: "vault", address, caFile, namespace, login: way, kv, transit, pki, timeoutMs };
}

function findProblems({ type, address, caFile, login }: SecretsSettings): Problem[] {
  if (type === "file") {
    if (address === undefined) return [];
    return [{ path: ["type"], message: "an address is given: set type to vault, or leave address out" }];
  }
  return [...addressProblems(address, caFile), ...loginProblems(login)];
}

function addressProblems(address: string | undefined, caFile: string | undefined): Problem[] {
  if (address === undefined) return [{ path: ["address"], message: "needed with type vault: https://HOST:8200" }];
  const { protocol, hostname } = new URL(address);
  const isHere = ["127.0.0.1", "[::1]", "localhost"].includes(hostname);
  if (protocol === "http:" && isHere) return [];
  if (protocol !== "https:") {
    return [
      { path: ["address"], message: "must be https: what goes there is the mesh's keys; http only to 127.0.0.1" },
    ];
  }
  if (caFile !== undefined) return [];
  return [{ path: ["caFile"], message: "needed with https: the file of the CA that signed the server's certificate" }];
}

function loginProblems({ method, role, roleId, secretIdFile }: SecretsSettings["login"]): Problem[] {
  const missing = (key: string, what: string) => ({ path: ["login", key], message: what });
  if (method === undefined)
    return [missing("method", "needed with type vault: kubernetes or approle; there is no default")];
  if (method === "kubernetes") {
    return role === undefined
      ? [missing("role", "needed for kubernetes: the role made under auth/kubernetes/role")]
      : [];
  }
  return [
    ...(roleId === undefined ? [missing("roleId", "needed for approle: bao read auth/approle/role/NAME/role-id")] : []),
    ...(secretIdFile === undefined
      ? [missing("secretIdFile", "needed for approle: a file, 0600, with a secret id")]
      : []),
    ...exampleProblems(roleId),
  ];
}

function exampleProblems(roleId: string | undefined): Problem[] {
  try {
    if (roleId !== undefined) refuseExample(roleId, "roleId");
    return [];
  } catch (error) {
    return [{ path: ["login", "roleId"], message: error instanceof Error ? error.message : String(error) }];
  }
}
