/** @module The settings that a schema has, each with its path and the name of its environment variable. */
import { z } from "zod";
import { oneTimeSecretText, secretText } from "./secret-text.ts";

export interface Setting {
  /** `["nats", "servers"]`. */
  readonly path: readonly string[];
  /** `NATS_SERVERS`, to be put behind the program's prefix. */
  readonly env: string;
  readonly kind: "text" | "secret" | "one-time secret" | "list" | "other";
}

/** Lists the leaves of the schema, in its order. Throws when two of them would have the same environment variable. */
export function listSettings(schema: z.ZodObject): Setting[] {
  const settings = walk(schema, []);
  const byEnv = Map.groupBy(settings, ({ env }) => env);
  for (const [env, same] of byEnv) if (same.length > 1) throw new TypeError(`config schema: two settings are ${env}`);
  return settings;
}

function walk(schema: unknown, path: readonly string[]): Setting[] {
  const base = unwrap(schema);
  if (base instanceof z.ZodObject)
    return Object.entries(base.shape).flatMap(([key, child]) => walk(child, [...path, key]));
  return [{ path, env: path.map(toEnvName).join("_"), kind: kindOf(base) }];
}

/** Defaults and optionality do not matter to where a value may come from. */
function unwrap(schema: unknown): unknown {
  let base = schema;
  while (
    base instanceof z.ZodOptional ||
    base instanceof z.ZodNullable ||
    base instanceof z.ZodDefault ||
    base instanceof z.ZodPrefault
  ) {
    base = base.unwrap();
  }
  return base;
}

function kindOf(base: unknown): Setting["kind"] {
  if (base === secretText) return "secret";
  if (base === oneTimeSecretText) return "one-time secret";
  if (base instanceof z.ZodArray) return "list";
  const isOther = base instanceof z.ZodNumber || base instanceof z.ZodBoolean || base instanceof z.ZodRecord;
  return isOther ? "other" : "text";
}

function toEnvName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase();
}
