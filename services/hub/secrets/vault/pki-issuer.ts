/** @module The issuer whose key is in Vault's PKI engine. */
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { z } from "zod";
import { toPem } from "../../authority/certificate/pem.ts";
import type { CertificateIssuer, CertificateWish } from "../../authority/certificate-issuer.ts";
import { ensureSecret, type SecretStore } from "../port.ts";
import { requireAsWished } from "./require-as-wished.ts";
import type { VaultSession } from "./session.ts";
import type { WaitingList } from "./waiting.ts";

export interface PkiOptions {
  readonly session: Pick<VaultSession, "call">;
  readonly mount: string;
  /** Of the three roles, which are `<role>-gateway`, `-server` and `-operator`. */
  readonly role: string;
  /** Holds which of the mount's issuers the mesh began with. */
  readonly secrets: SecretStore;
  readonly waiting: WaitingList;
}

const PIN = "ca-issuer";
const pinned = z.strictObject({ issuerId: z.string(), certificatePem: z.string() });
const described = z.object({ data: z.object({ issuer_id: z.string(), certificate: z.string() }) });
const issued = z.object({ data: z.object({ certificate: z.string() }) });

/**
 * Opens the issuer that is the mount's default on first use, and the same one ever after: its certificate is what
 * agents and join tokens trust. Throws `denied` (`ISSUER_UNFIT`) for one that does not sign itself.
 */
export async function openPkiIssuer({
  session,
  mount,
  role,
  secrets,
  waiting,
}: PkiOptions): Promise<CertificateIssuer> {
  const pin = await ensureSecret(secrets, PIN, async () => {
    const { issuer_id: issuerId, certificate: certificatePem } = await readDefault();
    requireRoot(certificatePem);
    return new Secret(Buffer.from(JSON.stringify({ issuerId, certificatePem })));
  });
  const { issuerId, certificatePem: stored } = pinned.parse(JSON.parse(Buffer.from(pin.reveal()).toString()));
  const ca = new X509Certificate(stored);
  return {
    certificatePem: ca.toString(),
    async issue(wish) {
      const { request } = wish;
      if (request === undefined) {
        const message = `certificate for ${wish.subject}: the agent sent no certificate request: upgrade it`;
        throw new SpanwireError("invalid", message, { reason: "CERTIFICATE_REQUEST_MISSING" });
      }
      const kind = kindOf(wish);
      return waiting.attempt(`certificates for ${kind}s`, () => sign(`${role}-${kind}`, wish, request));
    },
  };

  async function readDefault() {
    const answer = await session.call({ method: "GET", path: `${mount}/issuer/default` });
    if (answer.status === 200) return described.parse(answer.body).data;
    const message = `pki mount "${mount}": it has no default issuer: make its CA (bao write ${mount}/root/generate/internal …)`;
    throw unfit(message);
  }

  async function sign(roleName: string, wish: CertificateWish, request: Uint8Array): Promise<Uint8Array> {
    const path = `${mount}/issuer/${issuerId}/sign/${roleName}`;
    const body = {
      csr: toPem("CERTIFICATE REQUEST", request),
      common_name: wish.subject,
      exclude_cn_from_sans: true,
      ttl: `${Math.floor(wish.lifetimeMs / 1_000)}s`,
      ...namesOf(wish),
    };
    const answer = await session.call({ method: "POST", path, body });
    if (answer.status !== 200) {
      const said = answer.errors.join("; ") || `status ${answer.status}`;
      throw new SpanwireError("unavailable", `pki role "${roleName}": ${said}`, { reason: "VAULT_REFUSED" });
    }
    const certificate = new X509Certificate(issued.parse(answer.body).data.certificate);
    requireAsWished(certificate, wish, { ca, roleName });
    return new Uint8Array(certificate.raw);
  }
}

function kindOf({ use }: CertificateWish): "server" | "gateway" | "operator" {
  if (use.kind === "server") return "server";
  return /^spiffe:\/\/[^/]+\/operator\//.test(use.uri) ? "operator" : "gateway";
}

function namesOf({ use }: CertificateWish): Readonly<Record<string, string>> {
  if (use.kind === "client") return { uri_sans: use.uri };
  const [addresses, names] = [use.hosts.filter(isAddress), use.hosts.filter((host) => !isAddress(host))];
  return { alt_names: names.join(","), ip_sans: addresses.join(",") };
}

function isAddress(host: string): boolean {
  return isIP(host) !== 0;
}

function requireRoot(certificatePem: string): void {
  const certificate = new X509Certificate(certificatePem);
  if (certificate.ca && certificate.verify(certificate.publicKey)) return;
  throw unfit("the pki mount's default issuer does not sign itself: agents would not accept what it signs");
}

function unfit(message: string): SpanwireError {
  return new SpanwireError("denied", message, { reason: "ISSUER_UNFIT" });
}
