/**
 * @module Invites as text: "swi1." and base64url of CA pin (32) ‖ authority pin (32) ‖ length, cluster id ‖ length, hub
 * address. Where a cluster finds its hub and how it knows it; nothing in it is secret, and nobody joins by it alone.
 */
import { SpanwireError } from "../errors.ts";
import { counted, malformed, openPacked, type PackedForm, packText } from "./packed-text.ts";

export interface Invite {
  /** The cluster that may join by it. */
  readonly clusterId: string;
  /** `host:port` of RegistrationService; an IPv6 address in brackets. */
  readonly hubAddress: string;
  /** SHA-256 of the SubjectPublicKeyInfo of the hub's CA. */
  readonly caSpkiSha256: Uint8Array;
  /** SHA-256 of the raw root authority key. */
  readonly authoritySha256: Uint8Array;
}

const FORM: PackedForm = {
  mark: "swi1.",
  name: "invite",
  printedBy: "spanwire cluster invite",
  reason: "INVITE_MALFORMED",
};
export const HASH_BYTES = 32;
const DNS_LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const HOST_PORT = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_.-]{1,240}):([1-9]\d{0,4})$/;

/** Throws `invalid` for what could not be read back. */
export function formatInvite(invite: Invite): string {
  const fault = findInviteFault(invite);
  if (fault !== undefined) throw new SpanwireError("invalid", `invite: ${fault}`);
  const { caSpkiSha256, authoritySha256, clusterId, hubAddress } = invite;
  const bytes = packText(FORM, [caSpkiSha256, authoritySha256, counted(clusterId), counted(hubAddress)]);
  return String.fromCharCode(...bytes);
}

/** Reads an invite; white space around it does not matter. Throws `invalid` (`INVITE_MALFORMED`). */
export function parseInvite(text: string): Invite {
  const reader = openPacked(FORM, text);
  const invite = {
    caSpkiSha256: reader.take(HASH_BYTES),
    authoritySha256: reader.take(HASH_BYTES),
    clusterId: reader.takeCounted(),
    hubAddress: reader.takeCounted(),
  };
  reader.end();
  const fault = findInviteFault(invite);
  if (fault !== undefined) throw malformed(FORM, fault);
  return invite;
}

/** What stands against it; a join token says the same things of its hub. */
export function findInviteFault(invite: Invite): string | undefined {
  const { hubAddress, clusterId, caSpkiSha256, authoritySha256 } = invite;
  if (!DNS_LABEL.test(clusterId)) return "its cluster id is not a DNS label";
  if (!isHostPort(hubAddress)) return "its hub address is not host:port";
  const arePins = caSpkiSha256.length === HASH_BYTES && authoritySha256.length === HASH_BYTES;
  return arePins ? undefined : "a pin is not of 32 bytes";
}

function isHostPort(address: string): boolean {
  const port = HOST_PORT.exec(address)?.[2];
  return port !== undefined && Number(port) <= 65_535;
}
