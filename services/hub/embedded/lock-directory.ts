/** @module One hub for a state directory: a file that names the process, which may have been killed since. */
import { randomUUID } from "node:crypto";
import { link, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { SpanwireError } from "@spanwire/core/errors";

export const LOCK_FILE = "hub.lock";

const FILE_MODE = 0o600;
const ATTEMPTS = 3;

/** Takes the directory until disposed of; throws `conflict` (`ALREADY_RUNNING`) while another living process has it. */
export async function lockDirectory(directory: string): Promise<AsyncDisposable> {
  const path = join(directory, LOCK_FILE);
  const own = `${process.pid} ${await startTimeOf(process.pid)}\n`;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    if (await create(path, own)) return { [Symbol.asyncDispose]: () => release(path, own) };
    const holder = await readFile(path, "utf8").catch(() => "");
    const [pid = "", startTime = ""] = holder.trim().split(" ");
    if (holder !== "" && (await startTimeOf(Number(pid))) === startTime) throw alreadyRunning(directory, pid);
    await removeStale(path, holder);
  }
  throw alreadyRunning(directory, "another one that started at the same time");
}

/** With its content from the first moment on, or not at all. */
async function create(path: string, content: string): Promise<boolean> {
  const temporary = `${path}.${randomUUID()}`;
  await writeFile(temporary, content, { mode: FILE_MODE });
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  } finally {
    await rm(temporary, { force: true });
  }
}

/** What was moved away may be the new lock of somebody who removed the stale one first: that goes back. */
async function removeStale(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomUUID()}`;
  try {
    await rename(path, aside);
  } catch {
    return; // somebody else moved it
  }
  if ((await readFile(aside, "utf8")) !== stale) await link(aside, path).catch(() => {});
  await rm(aside, { force: true });
}

async function release(path: string, own: string): Promise<void> {
  if ((await readFile(path, "utf8").catch(() => "")) === own) await rm(path, { force: true });
}

/**
 * When the process began, so that another one with the same pid is not taken for it: field 22 of proc(5)'s stat, counted
 * from behind the name, which may hold blanks. Where there is no /proc, that it lives; undefined when it does not.
 */
async function startTimeOf(pid: number): Promise<string | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (stat !== undefined) return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19];
  return process.platform !== "linux" && isAlive(pid) ? "alive" : undefined;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function alreadyRunning(directory: string, who: string): SpanwireError {
  const message = `state directory ${directory}: used by process ${who}: stop it first, or choose another directory`;
  return new SpanwireError("conflict", message, { reason: "ALREADY_RUNNING" });
}
