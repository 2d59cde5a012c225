/** @module The error that every adapter throws: which change, what the kernel said, and the errno's name as reason. */
import { SpanwireError } from "@spanwire/core/errors";
import type { Change } from "./change.ts";
import { describeChange } from "./describe.ts";

/** Errnos that may pass by themselves; with all others the same change fails again. */
const RETRYABLE = new Set(["EAGAIN", "EBUSY", "EINTR", "ENOBUFS", "ENOMEM", "ETIMEDOUT"]);

/** `doing` is what was tried and to what ("read device sw-a0"); `said` the kernel's sentence, or ours for the errno. */
export function kernelError(doing: string | Change, errno: string, said: string, cause?: unknown): SpanwireError {
  const text = typeof doing === "string" ? doing : describeChange(doing);
  return new SpanwireError("kernel", `${text}: ${said} (${errno})`, {
    reason: errno,
    retryable: RETRYABLE.has(errno),
    ...(cause === undefined ? {} : { cause }),
  });
}
