/**
 * @module Who signs for the mesh: the root authority, its delegated online key and the CA, made on first use.
 *
 * The mesh's identity is kept with the keys, not in NATS: where the store is made anew, the same first records are
 * signed again, byte for byte, and agents find nothing changed.
 */
import { parseCidr } from "@spanwire/core/address/cidr";
import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import type { Signer } from "@spanwire/core/records/crypto";
import { createSigner, generateSigningKey } from "@spanwire/runtime/crypto/signing-key";
import * as z from "zod";
import { ensureSecret, type SecretStore } from "../secrets/port.ts";
import { type CertificateAuthority, createCertificateAuthority } from "./ca.ts";
import type { CertificateIssuer } from "./certificate-issuer.ts";
import { openOwnIssuer } from "./own-issuer.ts";

/** Fixed when the mesh is made. */
export interface MeshIdentity {
  /** "mesh-x7k2m9qd" or chosen; a DNS label. */
  readonly meshId: string;
  readonly createdAtMs: number;
  readonly overlayIpv4: string;
  readonly overlayIpv6: string;
  /** 1 to 16. */
  readonly maxGateways: number;
}

export interface Authority {
  readonly mesh: MeshIdentity;
  /** Signs admissions, link policy and delegations. */
  readonly root: Signer;
  /** Signs epochs, tombstones and heads. */
  readonly online: Signer;
  readonly ca: CertificateAuthority;
}

export interface AuthorityOptions {
  /** What is to be chosen when the mesh is made; afterwards it must be the same or absent. */
  readonly choice?: Partial<Omit<MeshIdentity, "createdAtMs">>;
  readonly nowMs: number;
  readonly randomBytes: (length: number) => Uint8Array;
  /** The root key's signer and the CA's issuer, where their keys are not in the secret store. */
  readonly openRoot?: (() => Promise<Signer>) | undefined;
  readonly openIssuer?: (() => Promise<CertificateIssuer>) | undefined;
}

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const OVERLAY_IPV4 = "198.18.0.0/15";
const MAX_GATEWAYS = 2;
const ID_CHARACTERS = 8;
const ID_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"; // 32 of them, none that looks like another

const storedMesh = z.strictObject({
  meshId: z.string().regex(LABEL),
  createdAtMs: z.number(),
  overlayIpv4: z.string(),
  overlayIpv6: z.string(),
  maxGateways: z.number().int().min(1).max(16),
});

/** Idempotent, also for several hubs that share the store. Throws `invalid` for a choice that the mesh was not made with. */
export async function openAuthority(secrets: SecretStore, options: AuthorityOptions): Promise<Authority> {
  const mesh = await openMesh(secrets, options);
  const { meshId } = mesh;
  const { nowMs } = options;
  const openRoot = options.openRoot ?? (() => openSigner(secrets, "authority-root-key"));
  const openIssuer = options.openIssuer ?? (() => openOwnIssuer(secrets, { meshId, nowMs }));
  const [root, online, issuer] = await Promise.all([
    openRoot(),
    openSigner(secrets, "authority-online-key"),
    openIssuer(),
  ]);
  return { mesh, root, online, ca: createCertificateAuthority(issuer, meshId) };
}

async function openMesh(secrets: SecretStore, options: AuthorityOptions): Promise<MeshIdentity> {
  const stored = await ensureSecret(secrets, "mesh", async () => {
    const mesh = makeMesh(options);
    return new Secret(new TextEncoder().encode(JSON.stringify(mesh)));
  });
  const mesh = readMesh(stored);
  const chosen = Object.entries(options.choice ?? {});
  const other = chosen.find(([name, value]) => value !== undefined && value !== mesh[name as keyof MeshIdentity]);
  if (other === undefined) return mesh;
  const [name, value] = other;
  const message = `mesh "${mesh.meshId}": was made with ${name} ${mesh[name as keyof MeshIdentity]}, which cannot become ${value}`;
  throw new SpanwireError("invalid", `${message}: leave the option out, or make a mesh in another state directory`, {
    reason: "MESH_DIFFERS",
  });
}

function makeMesh({ choice = {}, nowMs, randomBytes }: AuthorityOptions): MeshIdentity {
  const {
    meshId = `mesh-${randomText(randomBytes)}`,
    overlayIpv4 = OVERLAY_IPV4,
    overlayIpv6 = randomUniqueLocal(randomBytes),
    maxGateways = MAX_GATEWAYS,
  } = choice;
  if (!LABEL.test(meshId)) throw new SpanwireError("invalid", `mesh id "${meshId}": not a DNS label`);
  const mesh = { meshId, createdAtMs: nowMs, overlayIpv4, overlayIpv6, maxGateways };
  if (parseCidr(overlayIpv4).family !== "ipv4" || parseCidr(overlayIpv6).family !== "ipv6") {
    throw new SpanwireError("invalid", `overlay ${overlayIpv4} and ${overlayIpv6}: must be of IPv4 and of IPv6`);
  }
  if (!storedMesh.safeParse(mesh).success) {
    throw new SpanwireError("invalid", `mesh "${meshId}": max gateways ${maxGateways} is not 1 to 16`);
  }
  return mesh;
}

function readMesh(stored: Secret): MeshIdentity {
  try {
    return storedMesh.parse(JSON.parse(new TextDecoder().decode(stored.reveal())));
  } catch (cause) {
    throw new SpanwireError("corrupt", 'secret "mesh": not the identity of a mesh', { cause });
  }
}

async function openSigner(secrets: SecretStore, name: string): Promise<Signer> {
  return createSigner(await ensureSecret(secrets, name, async () => generateSigningKey().privateKey));
}

function randomText(randomBytes: (length: number) => Uint8Array): string {
  return Array.from(randomBytes(ID_CHARACTERS), (byte) => ID_ALPHABET[byte % ID_ALPHABET.length]).join("");
}

/** A /48 of fd00::/8 (RFC 4193). */
function randomUniqueLocal(randomBytes: (length: number) => Uint8Array): string {
  const [a = "", b = "", c = ""] = Buffer.from(randomBytes(6)).toString("hex").match(/.{4}/g) ?? [];
  const groups = [`fd${a.slice(2)}`, b, c].map((group) => Number.parseInt(group, 16).toString(16));
  return parseCidr(`${groups.join(":")}::/48`).text;
}
