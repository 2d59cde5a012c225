/** @module A log line for a person: time, level, program, message, then the facts as key=value. */

const KNOWN = new Set(["time", "level", "name", "msg", "err"]);

/** Turns one JSON line of the log into plain text; what is no JSON passes as it is. */
export function formatLine(line: string): string {
  const event = parse(line);
  if (event === undefined) return line;
  const { time, level, name, msg, err } = event;
  const head = [String(time).slice(11, 23), String(level).toUpperCase().padEnd(5), `${name}:`, msg].join(" ");
  const facts = Object.entries(event).filter(([key]) => !KNOWN.has(key));
  return [head, ...facts.map(([key, value]) => `${key}=${quote(value)}`), ...describeError(err)].join(" ").concat("\n");
}

function parse(line: string): Record<string, unknown> | undefined {
  try {
    const event: unknown = JSON.parse(line);
    return typeof event === "object" && event !== null ? { ...event } : undefined;
  } catch {
    return undefined;
  }
}

function quote(value: unknown): string {
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

/** The whole chain of causes in one line: `err="join: away" cause="connect ECONNREFUSED"`; the JSON form has the stacks. */
function describeError(error: unknown, key = "err"): string[] {
  if (typeof error !== "object" || error === null || !("message" in error)) return [];
  const cause = "cause" in error ? describeError(error.cause, "cause") : [];
  return [`${key}=${quote(error.message)}`, ...cause];
}
