/** @module Certificates for tests, made in memory. */
import "reflect-metadata"; // needed by @peculiar/x509, before it
import {
  BasicConstraintsExtension,
  type Extension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from "@peculiar/x509";
import { Secret } from "@spanwire/core/identity/secret";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const DAY_MS = 86_400_000;

export interface TestCertificate {
  /** The certificate, then its CA. */
  readonly chainPem: string;
  readonly privateKeyPem: Secret;
}

export interface TestCa {
  readonly caPem: string;
  issue(options: { readonly uri?: string; readonly ip?: string; readonly serial?: string }): Promise<TestCertificate>;
}

/** Makes a CA whose certificates hold for `localhost` and one address for a day. */
export async function createTestCa(name = "CN=test CA"): Promise<TestCa> {
  const caKeys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const validity = { notBefore: new Date(Date.now() - DAY_MS), notAfter: new Date(Date.now() + DAY_MS) };
  const ca = await X509CertificateGenerator.createSelfSigned({
    ...validity,
    name,
    keys: caKeys,
    signingAlgorithm: ALGORITHM,
    extensions: [new BasicConstraintsExtension(true, undefined, true)],
  });
  return {
    caPem: ca.toString("pem"),
    async issue({ uri, ip = "127.0.0.1", serial = "01" }) {
      const keys = await crypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
      const names: { type: "dns" | "ip" | "url"; value: string }[] = [
        { type: "dns", value: "localhost" },
        { type: "ip", value: ip },
      ];
      if (uri !== undefined) names.push({ type: "url", value: uri });
      const extensions: Extension[] = [new SubjectAlternativeNameExtension(names)];
      const certificate = await X509CertificateGenerator.create({
        ...validity,
        serialNumber: serial,
        subject: "CN=localhost",
        issuer: name,
        signingKey: caKeys.privateKey,
        publicKey: keys.publicKey,
        signingAlgorithm: ALGORITHM,
        extensions,
      });
      const pkcs8 = await crypto.subtle.exportKey("pkcs8", keys.privateKey);
      return {
        chainPem: `${certificate.toString("pem")}\n${ca.toString("pem")}\n`,
        privateKeyPem: new Secret(Buffer.from(PemConverter.encode(pkcs8, "PRIVATE KEY"))),
      };
    },
  };
}
