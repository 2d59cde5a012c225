/** @module The log of a process, on stderr: JSON lines for machines, plain lines for a person at a terminal. */
import { trace } from "@opentelemetry/api";
import { type DestinationStream, destination, type LoggerOptions, pino, stdTimeFunctions } from "pino";
import { formatLine } from "./format-line.ts";
import type { Logger } from "./logger.ts";
import { serializeError } from "./serialize-error.ts";

export const LOG_LEVELS = ["debug", "info", "warn", "error", "silent"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  /** Which program is speaking: `hub`, `agent`. */
  readonly name: string;
  readonly level?: LogLevel;
  /** By default `text` where stderr is a terminal. */
  readonly format?: "json" | "text";
  /** Gets whole lines; stderr by default. */
  readonly stream?: { write(line: string): void };
}

/** Names that hold secrets anywhere: the last line of defence behind `Secret`, which has no text form at all. */
const SECRET_NAMES = ["token", "secret", "password", "seed", "jwt", "privateKey", "presharedKey", "authorization"];

/** Makes the log. Lines are written before the call returns, so that the last ones before a crash are not lost. */
export function createLog({ name, level = "info", format, stream }: LogOptions): Logger {
  const asText = (format ?? (process.stderr.isTTY ? "text" : "json")) === "text";
  const target: DestinationStream = stream ?? destination({ fd: 2, sync: true });
  const options: LoggerOptions = {
    level,
    base: { name },
    timestamp: stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: serializeError },
    redact: { paths: SECRET_NAMES.flatMap((key) => [key, `*.${key}`]), censor: "[secret]" },
    mixin: traceOfNow,
  };
  return pino(options, asText ? { write: (line: string) => target.write(formatLine(line)) } : target);
}

function traceOfNow(): Record<string, string> {
  const span = trace.getActiveSpan()?.spanContext();
  return span === undefined ? {} : { traceId: span.traceId, spanId: span.spanId };
}
