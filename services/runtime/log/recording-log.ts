/** @module A log for tests: keeps what was said. */
import type { LogFields, Logger } from "./logger.ts";

export interface LogEvent {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly fields: LogFields;
}

export interface RecordingLog extends Logger {
  readonly events: readonly LogEvent[];
}

export function createRecordingLog(): RecordingLog {
  const events: LogEvent[] = [];
  return { ...recorder(events, {}), events };
}

function recorder(events: LogEvent[], bound: LogFields): Logger {
  const record = (level: LogEvent["level"]) => (fields: LogFields, message: string) => {
    events.push({ level, message, fields: { ...bound, ...fields } });
  };
  return {
    debug: record("debug"),
    info: record("info"),
    warn: record("warn"),
    error: record("error"),
    child: (fields) => recorder(events, { ...bound, ...fields }),
  };
}
