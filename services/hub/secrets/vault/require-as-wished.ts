/** @module Takes nobody's word for what a certificate says: a role that is set up wrong must not certify something else. */
import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { SpanwireError } from "@spanwire/core/errors";
import { type CertificateWish, CLOCK_TOLERANCE_MS } from "../../authority/certificate-issuer.ts";

const SERVER_AUTHENTICATION = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTHENTICATION = "1.3.6.1.5.5.7.3.2";

/** Throws `denied` (`ISSUER_UNFIT`) with what differs. */
export function requireAsWished(
  certificate: X509Certificate,
  wish: CertificateWish,
  { ca, roleName }: { readonly ca: X509Certificate; readonly roleName: string },
): void {
  const different = findDifference(certificate, wish, ca);
  if (different === undefined) return;
  const message = `pki role "${roleName}": a certificate for ${wish.subject} ${different}: set the role up as the hub needs it`;
  throw new SpanwireError("denied", message, { reason: "ISSUER_UNFIT" });
}

function findDifference(certificate: X509Certificate, wish: CertificateWish, ca: X509Certificate): string | undefined {
  const { use, publicKeySpki, nowMs, lifetimeMs } = wish;
  const purpose = use.kind === "server" ? SERVER_AUTHENTICATION : CLIENT_AUTHENTICATION;
  const spki = certificate.publicKey.export({ format: "der", type: "spki" });
  if (!certificate.checkIssued(ca) || !certificate.verify(ca.publicKey)) return "is signed by another CA";
  if (!spki.equals(publicKeySpki)) return "is for another key";
  if (certificate.ca) return "is a CA";
  if (certificate.keyUsage?.join() !== purpose) return "is for another purpose";
  if (!hasNames(certificate, use)) return `has other names (${certificate.subjectAltName ?? "none"})`;
  const endsAtMs = Date.parse(certificate.validTo);
  if (endsAtMs < nowMs + lifetimeMs - CLOCK_TOLERANCE_MS) return `ends early (${certificate.validTo}), look at max_ttl`;
  return undefined;
}

function hasNames(certificate: X509Certificate, use: CertificateWish["use"]): boolean {
  const names = certificate.subjectAltName ?? "";
  if (use.kind === "client") return names === `URI:${use.uri}`;
  const isNamed = (host: string) =>
    (isIP(host) === 0 ? certificate.checkHost(host, { subject: "never" }) : certificate.checkIP(host)) !== undefined;
  return names.split(", ").length === use.hosts.length && use.hosts.every(isNamed);
}
