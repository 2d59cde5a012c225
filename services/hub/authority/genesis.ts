/** @module The first records of a mesh: what every other record is verified and placed by. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SpanwireError } from "@spanwire/core/errors";
import type { Sha256, Signer, Verify } from "@spanwire/core/records/crypto";
import { equalBytes } from "@spanwire/core/records/digest";
import { DELEGATION_KEY, EPOCH_KEY, LINK_POLICY_KEY, MESH_KEY } from "@spanwire/core/records/key";
import { RecordMap, type RecordMapOptions } from "@spanwire/core/records/record-map";
import { sealRecord } from "@spanwire/core/records/seal";
import { DefaultLinks, EpochState, type PayloadSchema } from "@spanwire/proto/record";
import type { MapBucket } from "../state/port.ts";
import type { Authority } from "./authority.ts";

export interface RecordCrypto {
  readonly verify: Verify;
  readonly sha256: Sha256;
}

interface Unsigned {
  readonly payload: MessageInitShape<typeof PayloadSchema> & { readonly key: string };
  readonly signer: Signer;
}

const FIRST = { incarnation: 1n, generation: 1n };
/** Its end is not what protects: a lost online key is outlawed by the next delegation. */
const DELEGATION_MS = 20 * 365 * 86_400_000;

/** What every record of this mesh is verified against. */
export function trustOf({ mesh, root }: Authority, crypto: RecordCrypto): RecordMapOptions {
  return { meshId: mesh.meshId, authorityKey: root.publicKey, ...crypto };
}

/**
 * Writes those of the first records that the store has not: mesh, delegation, link policy (every pair linked) and epoch 0.
 * Idempotent, also for several hubs at once. Throws `conflict` (`OTHER_MESH`) where the store is that of another mesh or
 * was made with other keys, and `unavailable` while it is away.
 */
export async function ensureGenesis(map: MapBucket, authority: Authority, crypto: RecordCrypto): Promise<void> {
  const reader = new RecordMap(trustOf(authority, crypto));
  for (const first of firstRecords(authority)) {
    const { key } = first.payload;
    const stored = (await map.get(key)) ?? (await write(map, authority, first, crypto));
    const offered = reader.offer(key, stored.bytes);
    if (offered.kind !== "accepted") {
      throw otherMesh(authority, offered.kind === "refused" ? offered.message : offered.kind);
    }
  }
  if (!equalBytes(reader.delegation?.onlineKey ?? new Uint8Array(), authority.online.publicKey)) {
    throw otherMesh(authority, "it delegates to another online key");
  }
}

function otherMesh({ mesh }: Authority, why: string): SpanwireError {
  const message = `open mesh "${mesh.meshId}": the store in NATS does not fit our keys (${why})`;
  return new SpanwireError("conflict", `${message}: use the keys it was made with, or another NATS account`, {
    reason: "OTHER_MESH",
  });
}

/** The same bytes each time: nothing in them depends on when or by which hub they are written. */
function firstRecords({ mesh, root, online }: Authority): readonly Unsigned[] {
  const { createdAtMs, ...identity } = mesh;
  const order = { ...FIRST, issuedAt: timestampFromMs(createdAtMs) };
  const defaultLinks = DefaultLinks.FULL_MESH;
  return [
    { signer: root, payload: { key: MESH_KEY, ...order, body: { case: "mesh", value: identity } } },
    { signer: root, payload: { key: DELEGATION_KEY, ...order, body: delegationTo(online, createdAtMs) } },
    {
      signer: root,
      payload: { key: LINK_POLICY_KEY, ...order, body: { case: "linkPolicy", value: { defaultLinks } } },
    },
    {
      signer: online,
      payload: { key: EPOCH_KEY, ...order, body: { case: "epoch", value: { active: 0n, state: EpochState.STEADY } } },
    },
  ];
}

function delegationTo({ publicKey }: Signer, fromMs: number) {
  return {
    case: "delegation",
    value: { onlineKey: publicKey, notAfter: timestampFromMs(fromMs + DELEGATION_MS) },
  } as const;
}

/** Gives what is stored then: ours, or another hub's that was faster. */
async function write(
  map: MapBucket,
  { mesh }: Authority,
  { payload, signer }: Unsigned,
  { sha256 }: RecordCrypto,
): Promise<{ readonly bytes: Uint8Array }> {
  const bytes = await sealRecord(mesh.meshId, payload, { signer, sha256 });
  const written = await map.put(payload.key, bytes, { expectedRevision: 0 });
  const stored = written.ok ? { bytes } : await map.get(payload.key);
  if (stored !== undefined) return stored;
  throw new SpanwireError("unavailable", `write record "${payload.key}": was there and is not any more`);
}
