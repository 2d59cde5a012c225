/** @module The mesh's certificate authority: what it certifies, whoever holds its key. */
import { findHost } from "@spanwire/core/address/host";
import { SpanwireError } from "@spanwire/core/errors";
import type { GatewayRef } from "@spanwire/core/subjects";
import { signingKeySpki } from "@spanwire/runtime/crypto/signing-key";
import { spkiSha256Of } from "@spanwire/runtime/grpc/pin";
import type { ServerCertificate } from "@spanwire/runtime/grpc/server-tls";
import type { SecretStore } from "../secrets/port.ts";
import { toPem } from "./certificate/pem.ts";
import type { CertificateIssuer, CertificateWish, Lifetime } from "./certificate-issuer.ts";
import { openOwnIssuer } from "./own-issuer.ts";
import { createRequestedKey, type RequestedKey } from "./requested-key.ts";
import { formatSpiffeId, type OperatorRole } from "./spiffe-id.ts";

/** Its methods throw `unavailable` (retryable) while the issuer is away. */
export interface CertificateAuthority {
  readonly certificatePem: string;
  /** SHA-256 of its SubjectPublicKeyInfo: the pin in join tokens. */
  readonly spkiSha256: Uint8Array;
  /** For a server of ours, with a new key; `hosts` are the DNS names and IP addresses that clients use. */
  issueServer(options: Lifetime & { readonly hosts: readonly string[] }): Promise<ServerCertificate>;
  /** For a gateway's own Ed25519 identity: the certificate, then the CA, as PEM. */
  issueGateway(options: Lifetime & GatewayRef & GatewayKey): Promise<string>;
  /** For a person or a program that may use FleetService, with a new key. */
  issueOperator(options: Lifetime & OperatorName): Promise<ServerCertificate>;
  /** The same for a key that was made elsewhere: the certificate, then the CA, as PEM. */
  certifyOperator(options: Lifetime & OperatorName & RequestedKey): Promise<string>;
}

export interface GatewayKey {
  readonly identityKey: Uint8Array;
  /** PKCS #10 of that key; empty where the agent sent none, which some issuers refuse. */
  readonly certificateRequest?: Uint8Array;
}

export interface OperatorName {
  /** A DNS label. */
  readonly name: string;
  readonly role: OperatorRole;
}

const DAY_MS = 86_400_000;
export const GATEWAY_LIFETIME_MS = DAY_MS;
export const SERVER_LIFETIME_MS = 90 * DAY_MS;
export const OPERATOR_LIFETIME_MS = 365 * DAY_MS;

/** Opens the CA of the mesh with its key in the store, made on first use. */
export async function openCertificateAuthority(
  secrets: SecretStore,
  { meshId, nowMs }: { readonly meshId: string; readonly nowMs: number },
): Promise<CertificateAuthority> {
  return createCertificateAuthority(await openOwnIssuer(secrets, { meshId, nowMs }), meshId);
}

export function createCertificateAuthority(issuer: CertificateIssuer, meshId: string): CertificateAuthority {
  const { certificatePem } = issuer;
  const issueChain = async (wish: CertificateWish) =>
    `${toPem("CERTIFICATE", await issuer.issue(wish))}${certificatePem}`;
  const issueWithKey = async (wish: Omit<CertificateWish, keyof RequestedKey>): Promise<ServerCertificate> => {
    const { privateKeyPem, ...key } = createRequestedKey();
    return { chainPem: await issueChain({ ...wish, ...key }), privateKeyPem };
  };
  const operator = ({ name, role, ...lifetime }: Lifetime & OperatorName) => {
    const uri = formatSpiffeId({ kind: "operator", meshId, role, name });
    return { ...lifetime, subject: name, use: { kind: "client", uri } } as const;
  };
  return {
    certificatePem,
    spkiSha256: spkiSha256Of(certificatePem),
    async issueServer({ hosts, ...lifetime }) {
      const wrong = hosts.find((host) => findHost(host) === undefined);
      const [subject] = hosts;
      if (wrong !== undefined || subject === undefined) {
        throw new SpanwireError("invalid", `server certificate: "${wrong ?? ""}" is neither a DNS name nor an address`);
      }
      return issueWithKey({ ...lifetime, subject, use: { kind: "server", hosts } });
    },
    async issueGateway({ clusterId, ordinal, identityKey, certificateRequest, ...lifetime }) {
      const uri = formatSpiffeId({ kind: "gateway", meshId, clusterId, ordinal });
      const publicKeySpki = signingKeySpki(identityKey);
      const subject = `${clusterId}.${ordinal}`;
      const request = certificateRequest?.length ? certificateRequest : undefined;
      return issueChain({ ...lifetime, subject, use: { kind: "client", uri }, publicKeySpki, request });
    },
    issueOperator: (options) => issueWithKey(operator(options)),
    certifyOperator: ({ publicKeySpki, request, ...options }) =>
      issueChain({ ...operator(options), publicKeySpki, request }),
  };
}
