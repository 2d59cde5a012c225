/** @module The rotations of the past, in the registry: told by the epoch record step by step, by whoever leads. */
import { z } from "zod";
import type { RegistryBucket } from "../state/port.ts";
import type { EpochRecord } from "./epoch-record.ts";

export interface PastRotation {
  readonly epoch: bigint;
  readonly request: string;
  readonly openedAtMs: number;
  readonly closingAtMs?: number | undefined;
  readonly endedAtMs?: number | undefined;
  readonly isAborted: boolean;
}

const PREFIX = "rotation.past.";
const KEPT = 100;

/** The newest first. */
export async function listRotations(registry: RegistryBucket): Promise<readonly PastRotation[]> {
  return (await registry.list(PREFIX)).map(({ bytes }) => decode(bytes)).reverse();
}

/**
 * Writes down what the record tells of the rotation that it is about. Idempotent: called again after each step and each
 * start, because a leader may die between the record and this.
 */
export async function noteRotation(registry: RegistryBucket, record: EpochRecord): Promise<void> {
  const epoch = record.view.opening ?? record.view.active;
  const key = keyOf(epoch);
  const entry = await registry.get(key);
  const before = entry && decode(entry.bytes);
  const after = next(before, record, epoch);
  if (after === undefined) return;
  const bytes = encode(after);
  if (entry !== undefined) {
    if (new TextDecoder().decode(entry.bytes) === new TextDecoder().decode(bytes)) return;
    await registry.update(key, bytes, { expectedRevision: entry.revision });
    return;
  }
  await registry.create(key, bytes);
  const tooMany = (await registry.list(PREFIX)).slice(0, -KEPT);
  for (const { key: old, revision } of tooMany) await registry.delete(old, { expectedRevision: revision });
}

function next(
  before: PastRotation | undefined,
  { view, request, writtenAtMs }: EpochRecord,
  epoch: bigint,
): PastRotation | undefined {
  const begun = before ?? { epoch, request, openedAtMs: writtenAtMs, isAborted: false };
  switch (view.state) {
    case "open":
      return begun;
    case "closing":
      return { ...begun, closingAtMs: writtenAtMs };
    case "aborted":
      return { ...begun, endedAtMs: writtenAtMs, isAborted: true };
    case "steady":
      return before && { ...before, endedAtMs: before.endedAtMs ?? writtenAtMs };
    default:
      return view.state satisfies never;
  }
}

/** Sorted by epoch as text, too. */
function keyOf(epoch: bigint): string {
  return `${PREFIX}${String(epoch).padStart(20, "0")}`;
}

const schema = z.object({
  epoch: z.codec(z.string(), z.bigint(), { decode: BigInt, encode: String }),
  request: z.string(),
  openedAtMs: z.number(),
  closingAtMs: z.number().optional(),
  endedAtMs: z.number().optional(),
  isAborted: z.boolean(),
});

function encode(rotation: PastRotation): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(z.encode(schema, rotation)));
}

function decode(bytes: Uint8Array): PastRotation {
  return z.decode(schema, JSON.parse(new TextDecoder().decode(bytes)));
}
