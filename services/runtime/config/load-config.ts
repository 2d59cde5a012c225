/** @module The configuration of a process: a YAML file, overruled by the environment, overruled by flags. */
import { readFile } from "node:fs/promises";
import { SpanwireError } from "@spanwire/core/errors";
import type { z } from "zod";
import { Draft } from "./draft.ts";
import { type Environment, readEnvironment } from "./environment.ts";
import { listSettings, type Setting } from "./settings.ts";
import { readYamlFile } from "./yaml-file.ts";

export interface ConfigSources extends Environment {
  /** Path of a YAML file; absent means that there is none. */
  readonly file?: string | undefined;
  /** By path: `{ "nats.servers": [...] }`; undefined values were not given. */
  readonly flags?: Readonly<Record<string, unknown>>;
}

/**
 * Loads and validates. The schema must be made of `z.strictObject`, so that misspelt settings are errors. Throws
 * `invalid` (`CONFIG_INVALID`) with a line for each problem that says where it is and what to do.
 */
export async function loadConfig<S extends z.ZodObject>(schema: S, sources: ConfigSources): Promise<z.output<S>> {
  const settings = listSettings(schema);
  const file = sources.file === undefined ? undefined : await readYamlFile(sources.file);
  const draft = new Draft(file);
  readEnvironment(draft, settings, sources);
  for (const [path, value] of Object.entries(sources.flags ?? {})) {
    if (value !== undefined) draft.set(path.split("."), value, `--${toFlag(path)}`);
  }
  for (const { path, kind } of settings) {
    if (kind === "secret" || kind === "one-time secret") await readSecretFile(draft, path, kind);
  }
  const result = schema.safeParse(draft.value);
  const problems = [
    ...draft.problems,
    ...(result.error?.issues ?? []).flatMap((issue) => describe(issue, draft, settings)),
  ];
  if (result.success && problems.length === 0) return result.data;
  throw new SpanwireError("invalid", `config:\n${problems.map((problem) => `  ${problem}`).join("\n")}`, {
    reason: "CONFIG_INVALID",
  });
}

async function readSecretFile(
  draft: Draft,
  path: readonly string[],
  kind: "secret" | "one-time secret",
): Promise<void> {
  const filePath = [...path.slice(0, -1), `${path.at(-1)}File`];
  const origin = draft.whereIs(filePath);
  const file = draft.take(filePath);
  if (file === undefined) return;
  try {
    draft.set(path, (await readFile(String(file), "utf8")).trim(), origin);
  } catch (error) {
    const isGone = error instanceof Error && "code" in error && error.code === "ENOENT";
    if (isGone && kind === "one-time secret") return;
    draft.problems.push(`${origin}: ${filePath.join(".")}: ${error instanceof Error ? error.message : error}`);
  }
}

function describe(issue: z.core.$ZodIssue, draft: Draft, settings: readonly Setting[]): string[] {
  const path = issue.path.join(".");
  if (issue.code !== "unrecognized_keys") return [`${draft.whereIs(issue.path)}: ${path}: ${issue.message}`];
  const siblings = settings
    .filter((setting) => setting.path.slice(0, issue.path.length).join(".") === path)
    .map((setting) => setting.path[issue.path.length]);
  const known = [...new Set(siblings)].join(", ");
  return issue.keys.map((key) => {
    const whole = [...issue.path, key];
    return `${draft.whereIs(whole)}: ${whole.join(".")}: no such setting; there are ${known}`;
  });
}

function toFlag(path: string): string {
  return path.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`).replaceAll(".", "-");
}
