/** @module A program of a benchmark in a process of its own, asked by messages: what is measured shares no thread with the meter. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

/** What a program answers, by name. Arguments and answers are what structured cloning can copy. */
export type Handlers = Readonly<Record<string, (...input: never[]) => unknown>>;

export interface Child<H extends Handlers> extends AsyncDisposable {
  readonly pid: number;
  /** Rejects with the program's error, or when it ends. */
  ask<K extends keyof H & string>(name: K, ...input: Parameters<H[K]>): Promise<Awaited<ReturnType<H[K]>>>;
}

export interface Question {
  readonly id: number;
  readonly name: string;
  readonly input: readonly unknown[];
}

export type Answer =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };

export interface ChildOptions {
  /** Flags of Node, such as `--max-old-space-size=8000`. */
  readonly nodeOptions?: readonly string[];
}

/** Starts `program` (a file of this folder that calls `serveParent`); it ends with this process, however that ends. */
export function startChild<H extends Handlers>(program: string, { nodeOptions = [] }: ChildOptions = {}): Child<H> {
  const child = fork(join(import.meta.dirname, program), {
    execArgv: [...nodeOptions],
    serialization: "advanced",
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const waiting = new Map<number, PromiseWithResolvers<unknown>>();
  let count = 0;
  child.on("message", (answer: Answer) => {
    const question = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.ok) question?.resolve(answer.value);
    else question?.reject(new Error(`${program}: ${answer.message}`));
  });
  child.on("exit", (code, signal) => {
    for (const { reject } of waiting.values()) reject(new Error(`${program}: ended (${signal ?? code})`));
  });
  return {
    pid: child.pid ?? 0,
    async ask(name, ...input) {
      const question = Promise.withResolvers<unknown>();
      const id = ++count;
      waiting.set(id, question);
      child.send({ id, name, input } satisfies Question);
      return (await question.promise) as never; // the program's own type says what this is
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, "exit");
      child.kill("SIGKILL");
      await ended;
    },
  };
}
