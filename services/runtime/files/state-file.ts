/** @module State that must outlive crashes and bad disks: the last two versions of a file, each with a checksum. */
import { readFile } from "node:fs/promises";
import { SpanwireError } from "@spanwire/core/errors";
import { frameState, unframeState } from "./state-frame.ts";
import { writeFileAtomic } from "./write-file-atomic.ts";

export interface State {
  readonly bytes: Uint8Array;
  /** `previous` when the current version is missing or damaged: worth a warning. */
  readonly source: "current" | "previous";
}

/**
 * Stores the next version, mode 0600, and keeps the version before it. Only one writer per path. When it fails (disk
 * full, read-only) what was stored stays readable, and the error is `unavailable`: the next write may succeed.
 */
export async function writeState(path: string, bytes: Uint8Array): Promise<void> {
  try {
    // A damaged version must not replace a good previous one.
    const present = await readVersion(path);
    await writeFileAtomic(path, frameState(bytes), {
      keepAs: present.kind === "intact" ? previousOf(path) : undefined,
    });
  } catch (cause) {
    throw new SpanwireError("unavailable", `write state ${path}: ${reasonOf(cause)}`, {
      cause,
      reason: "STATE_NOT_WRITTEN",
    });
  }
}

/**
 * Reads the newest intact version; undefined when the path was never written. Throws `corrupt` when something was
 * written and nothing intact is left: the caller must not take that for a first start.
 */
export async function readState(path: string): Promise<State | undefined> {
  const current = await readVersion(path);
  if (current.kind === "intact") return { bytes: current.bytes, source: "current" };
  const previous = await readVersion(previousOf(path));
  if (previous.kind === "intact") return { bytes: previous.bytes, source: "previous" };
  if (current.kind === "missing" && previous.kind === "missing") return undefined;
  throw new SpanwireError(
    "corrupt",
    `read state ${path}: damaged, and so is or missing is ${previousOf(path)}: restore one of them or remove both`,
    { reason: "STATE_CORRUPT" },
  );
}

type Version = { readonly kind: "intact"; readonly bytes: Uint8Array } | { readonly kind: "missing" | "damaged" };

async function readVersion(path: string): Promise<Version> {
  try {
    const bytes = unframeState(await readFile(path));
    return bytes === undefined ? { kind: "damaged" } : { kind: "intact", bytes };
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return { kind: "missing" };
    if (codeOf(cause) === "EIO") return { kind: "damaged" }; // a bad sector is damage, too
    throw new SpanwireError("unavailable", `read state ${path}: ${reasonOf(cause)}`, {
      cause,
      reason: "STATE_NOT_READ",
    });
  }
}

function previousOf(path: string): string {
  return `${path}.previous`;
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
