/** @module SIGTERM and SIGINT: the first asks to end, the second ends. */
import type { Logger } from "../log/logger.ts";
import type { Shutdown } from "./shutdown.ts";

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
/** What shells report for a process that SIGINT ended. */
const FORCED_EXIT_CODE = 130;

/** Listens until disposed of; without that the process would no longer end by these signals. */
export function listenToSystemSignals(shutdown: Shutdown, log: Logger): Disposable {
  const onSignal = (name: NodeJS.Signals) => {
    if (!shutdown.signal.aborted) return shutdown.begin(name);
    log.error({ signal: name }, "ending at once: asked a second time");
    process.exit(FORCED_EXIT_CODE);
  };
  for (const name of SIGNALS) process.on(name, onSignal);
  return {
    [Symbol.dispose]() {
      for (const name of SIGNALS) process.off(name, onSignal);
    },
  };
}
