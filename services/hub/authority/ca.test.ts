import "reflect-metadata"; // needed by @peculiar/x509, before it
import { X509Certificate } from "node:crypto";
import { connect, createServer } from "node:tls";
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  X509Certificate as OtherCertificate,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
} from "@peculiar/x509";
import { Secret } from "@spanwire/core/identity/secret";
import { generateSigningKey, signingKeyPem, signingKeySpki } from "@spanwire/runtime/crypto/signing-key";
import { spiffeIdOf } from "@spanwire/runtime/grpc/peer";
import { spkiSha256Of } from "@spanwire/runtime/grpc/pin";
import type { ServerCertificate } from "@spanwire/runtime/grpc/server-tls";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createFakeSecretStore } from "../secrets/fake-secret-store.ts";
import { type CertificateAuthority, openCertificateAuthority } from "./ca.ts";
import { formatSpiffeId, OPERATOR_ROLES, parseSpiffeId } from "./spiffe-id.ts";

const nowMs = Date.now();
const lifetime = { nowMs, lifetimeMs: 3_600_000 };
const identity = generateSigningKey();
const gateway = { ...lifetime, clusterId: "eu", ordinal: 1, identityKey: identity.publicKey };
const openCa = (secrets = createFakeSecretStore()) => openCertificateAuthority(secrets, { meshId: "mesh-abc", nowMs });

test("is the same CA each time it is opened", async () => {
  const secrets = createFakeSecretStore();
  const [first, second] = [await openCa(secrets), await openCa(secrets)];
  expect(second.certificatePem).toBe(first.certificatePem);
  expect(spkiSha256Of(first.certificatePem)).toEqual(first.spkiSha256);
  const certificate = new X509Certificate(first.certificatePem);
  expect(certificate.ca).toBe(true);
  expect(certificate.verify(certificate.publicKey)).toBe(true);
  expect(certificate.subject).toBe("CN=Spanwire mesh-abc");
});

test("a gateway's certificate is for its identity key and carries its name", async () => {
  const ca = await openCa();
  const certificate = new X509Certificate(await ca.issueGateway(gateway));
  expect(certificate.verify(new X509Certificate(ca.certificatePem).publicKey)).toBe(true);
  expect(certificate.publicKey.export({ format: "der", type: "spki" })).toEqual(
    Buffer.from(signingKeySpki(identity.publicKey)),
  );
  expect(spiffeIdOf(certificate.subjectAltName ?? "")).toBe("spiffe://mesh-abc/cluster/eu/gateway/1");
  expect(certificate.ca).toBe(false);
  expect(certificate.keyUsage).toEqual(["1.3.6.1.5.5.7.3.2"]);
  expect(Date.parse(certificate.validTo)).toBe(Math.floor((nowMs + 3_600_000) / 1_000) * 1_000);
  expect(Date.parse(certificate.validFrom)).toBeLessThan(nowMs - 60_000);
});

test("no two certificates have the same serial number", async () => {
  const ca = await openCa();
  const chains = await Promise.all(Array.from({ length: 100 }, () => ca.issueGateway(gateway)));
  const serials = chains.map((chain) => new X509Certificate(chain).serialNumber);
  expect(new Set(serials).size).toBe(100);
});

test.each(["", "a b", "*.example", "http://x"])("refuses a server named %j", async (host) => {
  const ca = await openCa();
  await expect(ca.issueServer({ ...lifetime, hosts: [host] })).rejects.toThrow(/neither a DNS name nor an address/);
});

test("a key that is not the certificate's is an error", async () => {
  const [mine, theirs] = [createFakeSecretStore(), createFakeSecretStore()];
  await openCa(mine);
  await openCa(theirs);
  const mixed = createFakeSecretStore();
  await mixed.create("ca-key", (await mine.read("ca-key")) ?? new Secret(new Uint8Array()));
  await mixed.create("ca-certificate", (await theirs.read("ca-certificate")) ?? new Secret(new Uint8Array()));
  await expect(openCa(mixed)).rejects.toMatchObject({ code: "corrupt" });
});

test("another implementation reads what is in a certificate as it was meant", async () => {
  const ca = await openCa();
  const own = new OtherCertificate(ca.certificatePem);
  const leaf = new OtherCertificate((await ca.issueGateway(gateway)).split(/(?=-----BEGIN)/)[0] ?? "");
  expect(await leaf.verify({ publicKey: own.publicKey })).toBe(true);
  expect(leaf.getExtension(BasicConstraintsExtension)).toMatchObject({ ca: false, critical: true });
  expect(own.getExtension(BasicConstraintsExtension)).toMatchObject({ ca: true, pathLength: 0, critical: true });
  expect(leaf.getExtension(KeyUsagesExtension)?.usages).toBe(KeyUsageFlags.digitalSignature);
  expect(own.getExtension(KeyUsagesExtension)?.usages).toBe(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign);
  expect(leaf.getExtension(AuthorityKeyIdentifierExtension)?.keyId).toBe(
    own.getExtension(SubjectKeyIdentifierExtension)?.keyId,
  );
  expect(leaf.getExtension(SubjectAlternativeNameExtension)?.names.toJSON()).toEqual([
    { type: "url", value: "spiffe://mesh-abc/cluster/eu/gateway/1" },
  ]);
});

test("a certificate serves its purpose only", async () => {
  const ca = await openCa();
  const asServer = { chainPem: await ca.issueGateway(gateway), privateKeyPem: signingKeyPem(identity.privateKey) };
  const asClient = await ca.issueServer({ ...lifetime, hosts: ["localhost", "127.0.0.1"] });
  const server = await ca.issueServer({ ...lifetime, hosts: ["127.0.0.1"] });
  await expect(shakeHands(ca, { server, client: asClient })).rejects.toThrow("INVALID_PURPOSE");
  const client = await ca.issueOperator({ ...lifetime, name: "alice", role: "viewer" });
  await expect(shakeHands(ca, { server: asServer, client })).rejects.toThrow("unsuitable certificate purpose");
  const stranger = await (await openCa()).issueOperator({ ...lifetime, name: "alice", role: "viewer" });
  await expect(shakeHands(ca, { server, client: stranger })).rejects.toThrow("SELF_SIGNED_CERT_IN_CHAIN");
});

describe("TLS 1.3 tells the server the name of", () => {
  test.each([
    {
      name: "a gateway",
      client: async (ca: CertificateAuthority) => ({
        chainPem: await ca.issueGateway(gateway),
        privateKeyPem: signingKeyPem(identity.privateKey),
      }),
      want: "spiffe://mesh-abc/cluster/eu/gateway/1",
    },
    {
      name: "an operator",
      client: (ca: CertificateAuthority) => ca.issueOperator({ ...lifetime, name: "alice", role: "viewer" }),
      want: "spiffe://mesh-abc/operator/viewer/alice",
    },
  ])("$name", async ({ client, want }) => {
    const ca = await openCa();
    const server = await ca.issueServer({ ...lifetime, hosts: ["hub.example", "127.0.0.1", "::1"] });
    expect(await shakeHands(ca, { server, client: await client(ca) })).toBe(want);
  });
});

/** The name that the server reads of the client; rejects with what either side says against the other. */
async function shakeHands(
  { certificatePem }: CertificateAuthority,
  { server, client }: { readonly server: ServerCertificate; readonly client: ServerCertificate },
): Promise<string | undefined> {
  const trust = { ca: certificatePem, minVersion: "TLSv1.3" } as const;
  const listener = createServer({ ...toPair(server), ...trust, requestCert: true, rejectUnauthorized: false });
  const seen = Promise.withResolvers<string | undefined>();
  listener.on("tlsClientError", seen.reject);
  listener.on("secureConnection", (socket) => {
    if (socket.authorized) seen.resolve(spiffeIdOf(socket.getPeerCertificate().subjectaltname ?? ""));
    else seen.reject(new Error(String(socket.authorizationError)));
    socket.on("error", () => {}).end();
  });
  await new Promise<void>((resolve) => listener.listen(0, "127.0.0.1", resolve));
  const address = listener.address();
  const port = address !== null && typeof address === "object" ? address.port : 0;
  const socket = connect({ host: "127.0.0.1", port, ...toPair(client), ...trust });
  socket.on("error", seen.reject);
  try {
    return await seen.promise;
  } finally {
    socket.destroy();
    listener.close();
  }
}

function toPair({ chainPem, privateKeyPem }: ServerCertificate) {
  return { cert: chainPem, key: Buffer.from(privateKeyPem.reveal()) };
}

test("names survive being written and read", () => {
  const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?$/);
  fc.assert(
    fc.property(
      label,
      label,
      fc.integer({ min: 0, max: 15 }),
      fc.constantFrom(...OPERATOR_ROLES),
      (meshId, name, ordinal, role) => {
        const gatewayId = { kind: "gateway", meshId, clusterId: name, ordinal } as const;
        const operatorId = { kind: "operator", meshId, role, name } as const;
        expect(parseSpiffeId(formatSpiffeId(gatewayId))).toEqual(gatewayId);
        expect(parseSpiffeId(formatSpiffeId(operatorId))).toEqual(operatorId);
      },
    ),
  );
  for (const other of [
    "",
    "spiffe://m/cluster/eu",
    "spiffe://m/operator/a",
    "spiffe://m/operator/root/a",
    "spiffe://m/operator/admin/a/b",
    "spiffe://m/operator/admin/",
    "https://m/operator/admin/a",
    "spiffe://m/x",
  ]) {
    expect(parseSpiffeId(other)).toBeUndefined();
  }
});
