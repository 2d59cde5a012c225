import { Unavailable } from "./unavailable.ts";

/** Throws `Unavailable` where this process may not make network namespaces. */
export function requireRoot(): void {
  if (process.getuid?.() !== 0) throw new Unavailable("makes network namespaces: run as root");
}
