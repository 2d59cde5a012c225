/** @module What the rest of the program asks of a log. */

/** Facts of one event, by name; a `Secret` prints as `[secret]`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Messages are constant text in lower case, so that they can be counted; what varies goes into the fields. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A log that adds these fields to every event. */
  child(fields: LogFields): Logger;
}
