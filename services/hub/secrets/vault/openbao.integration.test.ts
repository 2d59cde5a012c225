import { X509Certificate } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { encodeEd25519Request } from "@spanwire/runtime/crypto/certificate-request";
import { createSigner, generateSigningKey, signingKeySpki } from "@spanwire/runtime/crypto/signing-key";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { spiffeIdOf } from "@spanwire/runtime/grpc/peer";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Data } from "../../../../test/lab/openbao.ts";
import { createCertificateAuthority, type GatewayKey } from "../../authority/ca.ts";
import { describeSecretStore } from "../contract.ts";
import { ensureSecret } from "../port.ts";
import { createVaultClient } from "./client.ts";
import { serviceAccountToken, startTokenReview } from "./fake-token-review.ts";
import { openPkiIssuer } from "./pki-issuer.ts";
import {
  appRoleOf,
  issueAppRole,
  MESH_ID,
  openTestSession,
  type SetUpBao,
  setUpBao,
  type TestSession,
} from "./testing.ts";
import { openTransitSigner } from "./transit-signer.ts";
import { createTransport } from "./transport.ts";
import { createVaultSecretStore } from "./vault-secret-store.ts";

let set: SetUpBao;
/** Logged in as the hub is, by the policy of the set-up. */
let hub: TestSession;
/** May use keys and roles that only these tests have. */
let lab: TestSession;
beforeAll(async () => {
  set = await setUpBao({ store: "memory" });
  hub = openTestSession({ address: set.bao.address, login: set.login });
  lab = openTestSession({
    address: set.bao.address,
    login: await addRole("lab", { paths: ["transit/*", "pki/*", "versionless/*"] }),
  });
});
afterAll(async () => {
  await Promise.all([hub, lab].map((each) => each[Symbol.asyncDispose]()));
  await set[Symbol.asyncDispose]();
});

interface RoleWish {
  readonly paths: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
}

async function addRole(role: string, { paths, settings }: RoleWish): Promise<SetUpBao["login"]> {
  const policy = paths.map((path) => `path "${path}" { capabilities = ["create", "read", "update"] }`).join("\n");
  await set.bao.call("PUT", `sys/policies/acl/${role}`, { policy });
  await set.bao.call("POST", `auth/approle/role/${role}`, { token_policies: role, token_ttl: "20m", ...settings });
  return issueAppRole(set.bao, set.directory, role);
}

let count = 0;
const openStore = ({ session } = hub) =>
  createVaultSecretStore({ session, mount: "secret", path: `spanwire/${count++}` });
const secret = (text: string) => new Secret(Buffer.from(text));
const read = { method: "GET", path: "secret/data/spanwire/nothing" } as const;

describeSecretStore("the secret store in OpenBao", async () => openStore());

describe("KV version 2", () => {
  test("what somebody deleted or damaged is an error, not a first start", async () => {
    const path = `spanwire/${count}`;
    const store = openStore();
    await store.create("root-key", secret("s3cret"));
    await set.bao.call("DELETE", `secret/data/${path}/root-key`);
    await expect(store.read("root-key")).rejects.toThrow(/was deleted: bring it back with bao kv undelete/);
    await expect(ensureSecret(store, "root-key", async () => secret("new"))).rejects.toMatchObject({ code: "corrupt" });
    await set.bao.call("POST", `secret/data/${path}/other`, { data: { password: "x" } });
    await expect(store.read("other")).rejects.toMatchObject({ code: "corrupt" });
  });

  test("a mount of version 1, which knows no compare-and-set, is refused", async () => {
    await set.bao.call("POST", "sys/mounts/versionless", { type: "kv", options: { version: "1" } });
    const store = createVaultSecretStore({ session: lab.session, mount: "versionless", path: "spanwire" });
    await expect(store.create("root-key", secret("x"))).rejects.toThrow(/KV version 2/);
  });
});

describe("transit", () => {
  const message = Buffer.from("an admission");
  const verify = createVerify();

  async function open(key: string, options: object | undefined, store = openStore()) {
    if (options !== undefined) await set.bao.call("POST", `transit/keys/${key}`, { type: "ed25519", ...options });
    const opened = { mount: "transit", key, session: lab.session, secrets: store, waiting: lab.waiting };
    return { signer: await openTransitSigner(opened), store };
  }
  const configure = (key: string, config: object) => set.bao.call("POST", `transit/keys/${key}/config`, config);
  const causeOf = (signing: Promise<unknown>) => signing.catch((error: SpanwireError) => [error.reason, error.cause]);

  test("signs for the root authority, with a key that the hub's policy cannot export", async () => {
    const parts = { session: hub.session, secrets: openStore(), waiting: hub.waiting };
    const signer = await openTransitSigner({ ...parts, mount: "transit", key: "spanwire-root" });
    expect(verify(signer.publicKey, message, await signer.sign(message))).toBe(true);
    for (const path of ["transit/export/signing-key/spanwire-root", "transit/backup/spanwire-root"]) {
      await expect(hub.session.call({ method: "GET", path })).rejects.toMatchObject({ code: "denied" });
    }
  });

  test("goes on with the version that agents have pinned when the key is rotated, also after a restart", async () => {
    const { signer, store } = await open("rotated", {});
    await set.bao.call("POST", "transit/keys/rotated/rotate", {});
    expect(verify(signer.publicKey, message, await signer.sign(message))).toBe(true);
    const { signer: later } = await open("rotated", undefined, store);
    expect(later).toMatchObject({ publicKey: signer.publicKey, version: 1 });
    expect(verify(signer.publicKey, message, await later.sign(message))).toBe(true);
  });

  test("says what to do when that version may not sign any more, and signs when it may again", async () => {
    const { signer } = await open("retired", {});
    await set.bao.call("POST", "transit/keys/retired/rotate", {});
    await configure("retired", { min_encryption_version: 2 });
    const mend = "bao write transit/keys/retired/config min_encryption_version=1";
    expect(await causeOf(signer.sign(message))).toMatchObject([
      "SIGNER_AWAY",
      { message: expect.stringContaining(mend) },
    ]);
    expect(lab.waiting.list()).toMatchObject([{ purpose: "signatures of the root authority", times: 1 }]);
    await configure("retired", { min_encryption_version: 1 });
    expect(verify(signer.publicKey, message, await signer.sign(message))).toBe(true);
    expect(lab.waiting.list()).toEqual([]);
  });

  test("never signs with a key that was made anew under the same name", async () => {
    const { signer, store } = await open("remade", {});
    await configure("remade", { deletion_allowed: true });
    await set.bao.call("DELETE", "transit/keys/remade");
    await set.bao.call("POST", "transit/keys/remade", { type: "ed25519" });
    expect(await causeOf(signer.sign(message))).toMatchObject(["SIGNER_AWAY", { reason: "OTHER_SIGNING_KEY" }]);
    await expect(open("remade", undefined, store)).rejects.toThrow(
      /its version 1 is not the key that this mesh was made/,
    );
    await open("another", {}); // which also ends the waiting
  });

  test.each([
    { key: "exportable", options: { exportable: true }, want: "may be exported" },
    { key: "ecdsa", options: { type: "ecdsa-p256" }, want: "is of type ecdsa-p256" },
    { key: "missing", options: undefined, want: "is not there: bao write -f transit/keys/missing type=ed25519" },
  ])("refuses a key that $want", async ({ key, options, want }) => {
    await expect(open(key, options)).rejects.toThrow(want);
  });
});

describe("PKI", () => {
  const identity = createSigner(generateSigningKey().privateKey);
  const nowMs = Date.now();
  const lifetimeMs = 86_400_000;
  const gateway = { nowMs, lifetimeMs, clusterId: "eu", ordinal: 1, identityKey: identity.publicKey };
  const withRequest = async (by = identity) => ({ ...gateway, certificateRequest: await encodeEd25519Request(by) });

  const openCa = async ({ role = "spanwire", store = openStore(), by = hub } = {}) => {
    const parts = { session: by.session, secrets: store, waiting: by.waiting };
    return createCertificateAuthority(await openPkiIssuer({ ...parts, mount: "pki", role }), MESH_ID);
  };
  const refusalOf = async (issued: Promise<unknown>) =>
    issued.catch((error: SpanwireError) => (error.cause instanceof Error ? error.cause.message : error.message));

  test("certifies a gateway's own key, under its name, for a day, as a client", async () => {
    const ca = await openCa();
    const [leaf = "", issuer] = (await ca.issueGateway(await withRequest())).split(/(?=-----BEGIN)/);
    expect(issuer).toBe(ca.certificatePem);
    const certificate = new X509Certificate(leaf);
    expect(certificate.checkIssued(new X509Certificate(ca.certificatePem))).toBe(true);
    expect(certificate.publicKey.export({ format: "der", type: "spki" })).toEqual(
      Buffer.from(signingKeySpki(identity.publicKey)),
    );
    expect(spiffeIdOf(certificate.subjectAltName ?? "")).toBe(`spiffe://${MESH_ID}/cluster/eu/gateway/1`);
    expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
    expect(certificate.ca).toBe(false);
  });

  test("certifies servers under all their names", async () => {
    const hosts = ["hub.example", "127.0.0.1", "::1"];
    const { chainPem } = await (await openCa()).issueServer({ nowMs, lifetimeMs, hosts });
    const certificate = new X509Certificate(chainPem);
    expect(certificate.checkHost("hub.example")).toBe("hub.example");
    expect(["127.0.0.1", "::1"].map((ip) => certificate.checkIP(ip))).toEqual(["127.0.0.1", "::1"]);
  });

  test.each([
    {
      name: "an agent that asks not itself",
      key: async (): Promise<GatewayKey> => gateway,
      want: "sent no certificate request",
    },
    {
      name: "a request of another key",
      key: () => withRequest(createSigner(generateSigningKey().privateKey)),
      want: "is for another key",
    },
    {
      name: "a request that its key has not signed",
      key: async () => {
        const { certificateRequest } = await withRequest();
        certificateRequest[certificateRequest.length - 1] = (certificateRequest.at(-1) ?? 0) ^ 1;
        return { ...gateway, certificateRequest };
      },
      want: "signature invalid",
    },
  ])("refuses $name", async ({ key, want }) => {
    const ca = await openCa();
    expect(await refusalOf(ca.issueGateway({ ...gateway, ...(await key()) }))).toContain(want);
    await ca.issueGateway(await withRequest()); // which ends the waiting
  });

  test("takes no certificate that says more or less than was asked for", async () => {
    const role = {
      use_csr_sans: false,
      allow_any_name: true,
      enforce_hostnames: false,
      allowed_uri_sans: "*",
      key_type: "any",
    };
    const ca = await openCa({ role: "loose", by: lab });
    for (const [wrong, want] of [
      [{ ...role, server_flag: true }, "is for another purpose"],
      [{ ...role, server_flag: false, max_ttl: "1h" }, "ends early"],
    ] as const) {
      await set.bao.call("POST", "pki/roles/loose-gateway", wrong);
      expect(await refusalOf(ca.issueGateway(await withRequest()))).toContain(want);
    }
  });

  test("goes on with the issuer that agents trust when the mount gets another default", async () => {
    const store = openStore();
    const before = await openCa({ store });
    const other = { common_name: "Other", key_type: "ec" };
    const made = await set.bao.call<Data<{ issuer_id: string }>>("POST", "pki/root/generate/internal", other);
    const { default: former } = (await set.bao.call<Data<{ default: string }>>("GET", "pki/config/issuers")).data;
    await set.bao.call("POST", "pki/config/issuers", { default: made.data.issuer_id });
    const after = await openCa({ store });
    expect(after.certificatePem).toBe(before.certificatePem);
    await after.issueGateway(await withRequest());
    await set.bao.call("POST", "pki/config/issuers", { default: former });
  });
});

describe("a session", () => {
  test("what the policy does not allow is denied, with what is missing, by the same token", async () => {
    const { asked, session } = hub;
    const before = asked.length;
    const denied = session.call({ method: "POST", path: "sys/mounts/mine", body: { type: "kv" } });
    await expect(denied).rejects.toThrow(/needs a policy that allows create and update on "sys\/mounts\/mine"/);
    expect(asked.slice(before)).toEqual(["sys/mounts/mine", "auth/token/lookup-self"]);
  });

  test("a token that ends in mid-operation is replaced, and the operation done", async () => {
    const { asked, session } = hub;
    await session.call(read);
    const before = asked.length;
    await set.bao.call("PUT", "sys/leases/revoke-prefix/auth/approle/login");
    await Promise.all([session.call(read), session.call(read)]);
    expect(asked.slice(before).filter((path) => path === "auth/approle/login")).toHaveLength(1);
  });

  test("renews before the token ends, and logs in anew before renewals end: nobody notices", async () => {
    // A busy machine may stand still for a second or two, and half of the life is what renewing may take.
    const login = await addRole("short", { paths: ["secret/*"], settings: { token_ttl: "8s", token_max_ttl: "16s" } });
    await using short = openTestSession({ address: set.bao.address, login });
    const times = (path: string) => short.asked.filter((each) => each === path).length;
    while (times("auth/approle/login") < 2 || times("auth/token/renew-self") < 2) {
      expect((await short.session.call(read)).status).toBe(404);
      await delay(50);
    }
    expect(times("auth/token/lookup-self")).toBe(0); // nothing was ever denied
  });

  test("a secret id that was replaced in its file is the next one used", async () => {
    const login = await addRole("rotating", { paths: ["secret/*"], settings: { secret_id_num_uses: "1" } });
    await using first = openTestSession({ address: set.bao.address, login });
    await first.session.call(read);
    await using second = openTestSession({ address: set.bao.address, login });
    await expect(second.session.call(read)).rejects.toMatchObject({
      reason: "VAULT_LOGIN_REFUSED",
      message: expect.stringContaining(`put a new secret id into ${login.secretIdFile}`),
    });
    await issueAppRole(set.bao, set.directory, "rotating");
    expect((await second.session.call(read)).status).toBe(404);
    await writeFile(login.secretIdFile, "change-me");
    await using third = openTestSession({ address: set.bao.address, login });
    await expect(third.session.call(read)).rejects.toMatchObject({ reason: "EXAMPLE_CREDENTIAL" });
  });

  test("a namespace is a world of its own", async () => {
    const inside = { namespace: "team-a" };
    await set.bao.call("POST", "sys/namespaces/team-a", {});
    const call = (path: string, body: object) => set.bao.call("POST", path, body, inside);
    await call("sys/mounts/secret", { type: "kv", options: { version: "2" } });
    const policy = 'path "secret/*" { capabilities = ["create", "read", "update"] }';
    await set.bao.call("PUT", "sys/policies/acl/hub", { policy }, inside);
    await call("sys/auth/approle", { type: "approle" });
    await call("auth/approle/role/hub", { token_policies: "hub" });
    const { roleId, secretId } = await appRoleOf(set.bao, "hub", inside);
    const secretIdFile = join(set.directory, "team-a");
    await writeFile(secretIdFile, secretId);
    const login = { method: "approle", mount: "approle", roleId, secretIdFile } as const;
    await using session = openTestSession({ address: set.bao.address, login, ...inside });
    const store = createVaultSecretStore({ session: session.session, mount: "secret", path: "spanwire" });
    expect(await store.create("here", secret("x"))).toBe(true);
    expect(await set.bao.call("GET", "secret/data/spanwire/here", undefined, inside)).toMatchObject({
      data: { metadata: { version: 1 } },
    });
    await expect(set.bao.call("GET", "secret/data/spanwire/here")).rejects.toThrow("status 404");
  });

  test("takes nothing from the environment: no token, no namespace, no address", async () => {
    vi.stubEnv("VAULT_TOKEN", set.bao.rootToken);
    vi.stubEnv("VAULT_NAMESPACE", "nowhere");
    vi.stubEnv("VAULT_ADDR", "http://127.0.0.1:1");
    vi.stubEnv("VAULT_PREFIX", "/elsewhere");
    const transport = createTransport({ caPem: undefined });
    const client = createVaultClient({ address: set.bao.address, namespace: undefined, transport });
    const signal = AbortSignal.timeout(60_000);
    await expect(client.send(read, undefined, signal)).rejects.toMatchObject({ reason: "VAULT_DENIED" });
    expect((await client.send({ method: "GET", path: "sys/health" }, undefined, signal)).status).toBe(200);
    transport.close();
    vi.unstubAllEnvs();
  });
});

/** OpenBao's own Kubernetes login; what a kube-apiserver says of the token (TokenReview) is said by this test. */
test("logs in as a Kubernetes ServiceAccount, with the token that is in the file then", async () => {
  const reviewed: string[] = [];
  await using api = await startTokenReview((token) => void reviewed.push(token));
  const account = ["hub", "spanwire-system"] as const;
  await set.bao.command([join(import.meta.dirname, "setup.sh"), MESH_ID, "kubernetes", ...account]);
  const { certificate } = (await set.bao.call<Data<{ certificate: string }>>("GET", "pki/cert/ca")).data; // of no use with plain http, but asked for
  const config = {
    kubernetes_host: api.url,
    disable_local_ca_jwt: true,
    kubernetes_ca_cert: certificate,
    token_reviewer_jwt: serviceAccountToken("reviewer", Date.now()),
  };
  await set.bao.call("POST", "auth/kubernetes/config", config);
  const tokenFile = join(set.directory, "sa-token");
  const login = { method: "kubernetes", mount: "kubernetes", role: "spanwire-hub", tokenFile } as const;
  const { address } = set.bao;

  await writeFile(tokenFile, serviceAccountToken("other", Date.now()));
  await using session = openTestSession({ address, login });
  await expect(session.session.call(read)).rejects.toThrow(
    /service account name not authorized: look at role "spanwire-hub".* and at the token in/,
  );
  const token = serviceAccountToken("hub", Date.now());
  await writeFile(tokenFile, token);
  expect((await session.session.call(read)).status).toBe(404);
  expect(reviewed.at(-1)).toBe(token);
});
