/** @module Runs one program to its end: the lab's and the tests' way to call `ip`, `nft`, `pip` and the like. */
import { spawn } from "node:child_process";

export interface ExecuteOptions {
  readonly cwd?: string;
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Written to standard input, which is then closed. */
  readonly input?: string;
  /** Kills the program (SIGKILL) when aborted. */
  readonly signal?: AbortSignal;
}

export interface Executed {
  /** 127 when the program does not exist or may not be run, 128 + n when signal n ended it. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const NOT_FOUND = 127;
const KILLED = 128 + 9;

/** Runs `argv` and returns how it ended; throws only when it is aborted. */
export async function execute(argv: readonly string[], options: ExecuteOptions = {}): Promise<Executed> {
  const [program = "", ...args] = argv;
  const child = spawn(program, args, {
    cwd: options.cwd,
    env: options.env === undefined ? undefined : { ...process.env, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
    ...(options.signal === undefined ? {} : { signal: options.signal, killSignal: "SIGKILL" as const }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  // A program that does not read its input closes the pipe: EPIPE says nothing that its status does not.
  child.stdin.on("error", () => undefined);
  child.stdin.end(options.input ?? "");

  const status = await new Promise<number>((resolve, reject) => {
    child.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ENOENT" || error.code === "EACCES" ? resolve(NOT_FOUND) : reject(error),
    );
    child.on("close", (code) => resolve(code ?? KILLED));
  });
  return { status, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() };
}

/** Runs `argv` and returns its standard output; throws with its last lines of error output when it fails. */
export async function executeOrThrow(argv: readonly string[], options: ExecuteOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await execute(argv, options);
  if (status === 0) return stdout;
  const why = status === NOT_FOUND ? "no such program" : lastLines(stderr || stdout, 8);
  throw new Error(`${argv.join(" ")}: status ${status}: ${why}`);
}

/** Returns the last `count` lines that hold something. */
export function lastLines(text: string, count: number): string {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .slice(-count)
    .join("\n");
}
