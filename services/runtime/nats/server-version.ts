/** @module The oldest NATS server that Spanwire works with. */
import { SpanwireError } from "@spanwire/core/errors";

/** Older servers take options of streams and keys that they do not know, answer OK and ignore them. */
const FLOOR = [2, 12, 0] as const;

/** Throws `invalid` (`NATS_TOO_OLD`) when the server is older than the floor, or says nothing that is a version. */
export function requireServerVersion(version: string): void {
  const [major = 0, minor = 0, patch = 0] = version
    .replace(/[-+].*$/, "")
    .split(".")
    .map(Number);
  if (compare([major, minor, patch], FLOOR) >= 0) return;
  throw new SpanwireError("invalid", `nats server is ${version}: needs ${FLOOR.join(".")} or newer`, {
    reason: "NATS_TOO_OLD",
  });
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((part, i) => part !== b[i]);
  return at < 0 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}
