/** @module The events of a kernel that nobody but the agent changes. */
import { once } from "node:events";

export async function* silence(signal: AbortSignal): AsyncGenerator<void> {
  if (!signal.aborted) await once(signal, "abort");
  yield;
}
