import { readdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import type { SpanwireError } from "@spanwire/core/errors";
import { MAP_BUCKET } from "@spanwire/core/subjects";
import { PayloadSchema, RecordSchema } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { spkiSha256Of } from "@spanwire/runtime/grpc/pin";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import type { Data } from "../../../../test/lab/openbao.ts";
import { openCertificateAuthority } from "../../authority/ca.ts";
import { createBackup } from "../../backup/create-backup.ts";
import { restoreBackup } from "../../backup/restore-backup.ts";
import { CALL, createTestGateway, makeDirectory, type RunningHub, startHub } from "../../testing.ts";
import { createFakeSecretStore } from "../fake-secret-store.ts";
import { MESH_ID, openTestSession, type SetUpBao, setUpBao } from "./testing.ts";

let files: Awaited<ReturnType<typeof makeDirectory>>;
let set: SetUpBao;
let caPem: string;
let hub: RunningHub;
/** Long enough for a busy machine to answer, short enough to be waited for. */
const timeoutMs = 3_000;

beforeAll(async () => {
  files = await makeDirectory();
  const nowMs = Date.now();
  const ca = await openCertificateAuthority(createFakeSecretStore(), { meshId: "others", nowMs });
  const { chainPem, privateKeyPem } = await ca.issueServer({ nowMs, lifetimeMs: 3_600_000, hosts: ["127.0.0.1"] });
  caPem = ca.certificatePem;
  const tls = { certificateFile: join(files.path, "bao.crt"), keyFile: join(files.path, "bao.key") };
  await writeFile(tls.certificateFile, chainPem);
  await writeFile(tls.keyFile, privateKeyPem.reveal());
  await writeFile(join(files.path, "ca.crt"), caPem);
  set = await setUpBao({ store: "disk", tls });
});
afterAll(async () => {
  await hub?.stop();
  await set[Symbol.asyncDispose]();
  await files[Symbol.asyncDispose]();
});

const start = ({ dir = "hub", login = set.login } = {}) =>
  startHub({
    dir: join(files.path, dir),
    mesh: { id: MESH_ID },
    secrets: {
      type: "vault",
      address: set.bao.tlsAddress,
      caFile: join(files.path, "ca.crt"),
      login,
      timeoutMs,
    },
  });
const conditions = async () => (await hub.fleet.getStatus({}, CALL)).status?.conditions ?? [];
const conditionOf = async (type: string) => (await conditions()).find((each) => each.type === type)?.message ?? "";

async function tombstones(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { bucket, key, value } of hub.fleet.exportState({}, CALL)) {
    if (bucket !== MAP_BUCKET) continue;
    const { body } = fromBinary(PayloadSchema, fromBinary(RecordSchema, value).payload);
    if (body.case === "tombstone") keys.push(key);
  }
  return keys;
}

test("a hub that starts while the store is sealed goes on as soon as it is not, and keeps no key of the mesh", async () => {
  await set.bao.seal();
  const starting = start();
  const first = await Promise.race([starting.then(() => "started"), set.bao.call("GET", "sys/seal-status")]);
  expect(first).toMatchObject({ sealed: true });
  await set.bao.unseal();
  hub = await starting;
  expect(await conditions()).toEqual([]);

  type Listed = Data<{ keys: readonly string[] }>;
  const { keys } = (await set.bao.call<Listed>("GET", "secret/metadata/spanwire?list=true")).data;
  expect(keys).toContain("authority-online-key");
  expect(keys).not.toContain("authority-root-key");
  expect(keys).not.toContain("ca-key");
  expect(await readdir(join(files.path, "hub"))).toEqual(["context.json", "nats"]);
  const { authorityKey } = hub.context;
  type TransitKey = Data<{ keys: Record<number, { public_key: string }> }>;
  const transit = (await set.bao.call<TransitKey>("GET", "transit/keys/spanwire-root")).data;
  expect(Buffer.from(authorityKey).toString("base64")).toBe(transit.keys[1]?.public_key);
  const { certificate } = (await set.bao.call<Data<{ certificate: string }>>("GET", "pki/cert/ca")).data;
  expect(spkiSha256Of(hub.context.caPem)).toEqual(spkiSha256Of(certificate));
});

test.each([
  {
    name: "sealed",
    begin: () => set.bao.seal(),
    end: () => set.bao.unseal(),
    want: /it is sealed: an operator must unseal it/,
  },
  {
    name: "unreachable",
    begin: () => set.bao.kill("SIGKILL"),
    end: async () => {
      await set.bao.restart();
      await set.bao.unseal();
    },
    want: /ECONNREFUSED|ECONNRESET|socket hang up/,
  },
  {
    name: "slow",
    begin: () => set.bao.kill("SIGSTOP"),
    end: () => set.bao.kill("SIGCONT"),
    want: new RegExp(`no answer within ${timeoutMs} ms`),
  },
])("while the store is $name the hub serves what needs no new signature, and says what waits", async ({
  name,
  begin,
  end,
  want,
}) => {
  const [member, revoked, joiner] = [createTestGateway(), createTestGateway(), createTestGateway()];
  const [memberToken, revokedToken, joinerToken] = await Promise.all(
    ["member", "revoked", "joiner"].map((cluster) => hub.token(`${cluster}-${name}`)),
  );
  if (memberToken === undefined || revokedToken === undefined || joinerToken === undefined) throw new Error("no token");
  await member.register(memberToken);
  await revoked.register(revokedToken);

  onTestFinished(() => set.bao.kill("SIGCONT")); // or a failure here would be one of all that follows
  await begin();
  const refusal = (calling: Promise<unknown>) => calling.catch((error: SpanwireError) => error);
  expect(await refusal(joiner.register(joinerToken))).toMatchObject({ reason: "SIGNER_AWAY", retryable: true });
  expect(await refusal(member.renew(memberToken))).toMatchObject({ reason: "SIGNER_AWAY", retryable: true });
  const said = await conditionOf("SecretStoreAway");
  expect(said).toMatch(want);
  expect(said).toMatch(/waiting: certificates for gateways \(asked for 1x\), signatures of the root authority/);
  // A revocation takes effect by the online key; only its last step, the smaller admission, waits.
  const revoking = () => hub.fleet.revokeCluster({ id: `revoked-${name}` }, CALL);
  expect(await refusal(revoking())).toMatchObject({ reason: "SIGNER_AWAY", retryable: true });
  expect(await refusal(revoked.renew(revokedToken))).toMatchObject({ reason: "NKEY_REVOKED" });
  expect(await tombstones()).toContain(`gateway.revoked-${name}.0`);
  await hub.token(`later-${name}`);
  const { clusters } = await hub.fleet.listClusters({}, CALL);
  expect(clusters.find(({ id }) => id === `member-${name}`)?.gateways).toHaveLength(1);

  await end();
  await expect.poll(() => conditionOf("SecretStoreAway")).toBe("");
  await expect.poll(async () => (await refusal(joiner.register(joinerToken))) instanceof Error).toBe(false);
  await member.renew(memberToken);
  await revoking();
  expect(await conditions()).not.toContainEqual(expect.objectContaining({ type: "SignatureWaits" }));
});

test("while the policy denies certificates the status says which right is missing", async () => {
  const policy = await readFile(join(import.meta.dirname, "policy.hcl"), "utf8");
  const write = (text: string) => set.bao.call("PUT", "sys/policies/acl/spanwire-hub", { policy: text });
  const gateway = createTestGateway();
  const token = await hub.token("denied");
  await write(policy.replace("sign/spanwire-gateway", "sign/nothing"));
  await expect(gateway.register(token)).rejects.toMatchObject({ reason: "SIGNER_AWAY", retryable: true });
  expect(await conditionOf("SignatureWaits")).toMatch(
    /needs a policy that allows create and update on "pki\/issuer\/[-0-9a-f]+\/sign\/spanwire-gateway"/,
  );
  await write(policy);
  await gateway.register(token);
  expect(await conditionOf("SignatureWaits")).toBe("");
});

test("a rotated signing key is told, and a restarted hub is the same mesh", async () => {
  await set.bao.call("POST", "transit/keys/spanwire-root/rotate", {});
  await expect
    .poll(() => conditionOf("SigningKeyRotated"))
    .toMatch(/rotated to version 2; the mesh goes on with version 1/);
  const before = hub.context;
  const token = await hub.token("again");
  await hub.stop();
  hub = await start();
  expect(hub.context).toMatchObject({ meshId: before.meshId, authorityKey: before.authorityKey, caPem: before.caPem });
  const { status } = await hub.fleet.getStatus({}, CALL);
  expect(status?.clusters.length).toBeGreaterThan(3);
  expect(token.authoritySha256).toEqual((await hub.token("again")).authoritySha256);
});

test("a backup without keys and the keys in the store are the mesh again, in another directory", async () => {
  const path = join(files.path, "backup");
  const exported = hub.fleet.exportState({}, CALL);
  const { clusters: before } = await hub.fleet.listClusters({}, CALL);
  const { config, context } = hub;
  await createBackup({ dir: undefined, meshId: context.meshId, exported, path, nowMs: Date.now() });
  await hub.stop();
  const searchPath = dirname(config.nats.binary ?? "");
  const parts = { log: createRecordingLog(), clock: systemClock, random: Math.random, searchPath };
  const dir = join(files.path, "restored");
  const signal = AbortSignal.timeout(60_000);
  expect(await restoreBackup({ path, config: { ...config, dir }, ...parts, signal })).toMatchObject({
    meshId: context.meshId,
  });
  hub = await start({ dir: "restored" });
  expect((await hub.fleet.listClusters({}, CALL)).clusters.map(({ id }) => id)).toEqual(before.map(({ id }) => id));
  expect(hub.context.authorityKey).toEqual(context.authorityKey);
});

test("does not start with a credential of an example, nor with one that is refused, and says where it is", async () => {
  const secretIdFile = join(files.path, "secret-id");
  const login = { ...set.login, secretIdFile };
  await writeFile(secretIdFile, "change-me\n");
  await expect(start({ dir: "example", login })).rejects.toThrow(`${secretIdFile}: it is the text of an example`);
  await writeFile(secretIdFile, "9b7a35a1-5c1c-4e6c-8d27-b0a1d1a7c000\n");
  await expect(start({ dir: "refused", login })).rejects.toThrow(`put a new secret id into ${secretIdFile}`);
});

test("trusts no server but one whose certificate the pinned CA has signed", async () => {
  vi.stubEnv("VAULT_SKIP_VERIFY", "1");
  onTestFinished(() => void vi.unstubAllEnvs());
  const { login } = set;
  const address = set.bao.tlsAddress ?? "";
  const request = { method: "GET", path: "sys/health" } as const;
  await using right = openTestSession({ address, login, caPem });
  expect((await right.session.call(request)).status).toBe(200);
  const other = await openCertificateAuthority(createFakeSecretStore(), { meshId: "x", nowMs: Date.now() });
  await using wrong = openTestSession({ address, login, caPem: other.certificatePem });
  await expect(wrong.session.call(request)).rejects.toThrow(/self-signed certificate in certificate chain/);
  await using unpinned = openTestSession({ address, login });
  await expect(unpinned.session.call(request)).rejects.toThrow(/self-signed certificate in certificate chain/);
});
