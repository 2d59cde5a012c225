/** @module What a command may use of the world: its output, the time, the hub. Wired in main.ts, faked in tests. */
import type { OperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import type { FleetClient } from "./fleet.ts";

export interface Session {
  /** What the command is asked for: goes to a pipe. */
  out(text: string): void;
  /** What a person should know besides. */
  note(text: string): void;
  /** Ends with this exit code once the command is done. */
  exitWith(code: number): void;
  /** Milliseconds since the Unix epoch. */
  now(): number;
  /** Aborts when the user interrupts. */
  readonly signal: AbortSignal;
  /** Reads the operator's context; `path` is --context. */
  context(path: string | undefined): Promise<OperatorContext>;
  /** The hub's API; the connection ends with the session. */
  fleet(path: string | undefined): Promise<FleetClient>;
}

const CALL_LIMIT_MS = 20_000;

/** The options of a unary call that a person waits for. */
export function callOptions({ signal }: Session): { readonly signal: AbortSignal; readonly timeoutMs: number } {
  return { signal, timeoutMs: CALL_LIMIT_MS };
}
