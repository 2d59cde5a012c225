/**
 * @module What operators ask of the rotation: at most one request waits, in the registry, for whichever hub leads.
 *
 * The epoch record names the request that it obeys, so that a leader that dies between obeying one and taking it away
 * leaves no second rotation behind.
 */
import { targetEpoch } from "@spanwire/core/rotation/epoch";
import { z } from "zod";
import { refusal } from "../refusal.ts";
import type { RegistryBucket } from "../state/port.ts";
import type { EpochRecord } from "./epoch-record.ts";

export interface RotationRequest {
  readonly id: string;
  readonly kind: "open" | "abort";
  /** Of an abort: the epoch that must not become the active one. */
  readonly epoch: bigint;
}

/** A request as stored, with what a write over it must expect. */
export interface HeldRequest {
  readonly request: RotationRequest;
  readonly revision: number;
}

const KEY = "rotation.request";
const ATTEMPTS = 5;

/** The one that waits; undefined where none does. */
export async function findRequest(registry: RegistryBucket): Promise<HeldRequest | undefined> {
  const entry = await registry.get(KEY);
  if (entry === undefined) return undefined;
  const request = schema.parse(JSON.parse(new TextDecoder().decode(entry.bytes)));
  return { request, revision: entry.revision };
}

/** Whether nothing is left to be done for it. */
export function isObeyed({ id, kind, epoch }: RotationRequest, { view, request }: EpochRecord): boolean {
  return kind === "open" ? request === id : view.state !== "open" || view.opening !== epoch;
}

export async function clearRequest(registry: RegistryBucket, { revision }: HeldRequest): Promise<void> {
  await registry.delete(KEY, { expectedRevision: revision }); // a conflict is another request, which stays
}

/**
 * Asks for a rotation, or joins the one who has asked before. Throws `ROTATION_ABORTING` while an abort waits.
 */
export async function askOpen(registry: RegistryBucket, record: EpochRecord, id: string): Promise<string> {
  return await ask(registry, (held) => {
    if (held === undefined || isObeyed(held, record)) return { id, kind: "open", epoch: 0n };
    if (held.kind === "open") return held;
    throw refusal("ROTATION_ABORTING", "a rotation is being turned back: try again in a moment");
  });
}

/** Asks to turn the open rotation back; what waits to be opened after it is forgotten. Throws `NO_ROTATION`. */
export async function askAbort(registry: RegistryBucket, { view }: EpochRecord, id: string): Promise<string> {
  if (view.state !== "open") {
    const why = view.state === "closing" ? `epoch ${targetEpoch(view)} is in use everywhere` : "none is open";
    throw refusal("NO_ROTATION", `no rotation can be turned back: ${why}`);
  }
  const request: RotationRequest = { id, kind: "abort", epoch: targetEpoch(view) };
  return await ask(registry, (held) => (held?.kind === "abort" && held.epoch === request.epoch ? held : request));
}

/** Stores what `decide` makes of the request that waits, unless it is the same; gives the id of what is stored then. */
async function ask(
  registry: RegistryBucket,
  decide: (held: RotationRequest | undefined) => RotationRequest,
): Promise<string> {
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const held = await findRequest(registry);
    const wanted = decide(held?.request);
    if (wanted === held?.request) return wanted.id;
    const text = JSON.stringify({ ...wanted, epoch: String(wanted.epoch) });
    const bytes = new TextEncoder().encode(text);
    const written =
      held === undefined
        ? await registry.create(KEY, bytes)
        : await registry.update(KEY, bytes, { expectedRevision: held.revision });
    if (written.ok) return wanted.id;
  }
  throw refusal("BUSY", "others ask for rotations at the same time: try again");
}

const schema = z.object({ id: z.string(), kind: z.enum(["open", "abort"]), epoch: z.string().transform(BigInt) });
