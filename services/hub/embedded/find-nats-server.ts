/** @module Finds the nats-server that the embedded hub runs. */
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { SpanwireError } from "@spanwire/core/errors";

export interface FindOptions {
  /** --nats-server; nothing else is tried when it is given. */
  readonly given: string | undefined;
  /** $PATH. */
  readonly searchPath: string;
}

/** Throws `not-found` with what to do. */
export async function findNatsServer({ given, searchPath }: FindOptions): Promise<string> {
  const candidates =
    given === undefined ? searchPath.split(delimiter).map((folder) => join(folder, "nats-server")) : [given];
  for (const candidate of candidates) if (await isExecutable(candidate)) return candidate;
  const where = given === undefined ? "no nats-server in PATH" : `${given} cannot be run`;
  throw new SpanwireError("not-found", `${where}: install NATS 2.12 or newer, or name it with --nats-server FILE`);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
