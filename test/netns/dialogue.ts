/** @module A long-lived program that is told things on its input and answers until a full stop that we choose. */
import { spawn } from "node:child_process";

import { dieWithParent } from "../lab/die-with-parent.ts";

export interface Dialogue {
  /**
   * Writes `text` and returns what the program says (both streams) up to a match of `stop`, and that match; undefined
   * when it ended instead. Calls are answered one after another.
   */
  say(text: string, stop: RegExp): Promise<{ readonly said: string; readonly stop: RegExpExecArray | undefined }>;
  /** Closes its input and waits for its end. */
  close(): Promise<void>;
}

/** Starts `argv`; it dies with this process. */
export function openDialogue(argv: readonly string[]): Dialogue {
  const program = start(argv);
  let last: Promise<unknown> = Promise.resolve();
  return {
    say(text, stop) {
      const answer = last.then(async () => (await program).exchange(text, stop));
      last = answer.catch(() => undefined);
      return answer;
    },
    async close() {
      await last;
      await (await program).end();
    },
  };
}

async function start(argv: readonly string[]) {
  const [program = "", ...args] = await dieWithParent(argv);
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, LC_ALL: "C" } });
  // A program that has ended is found out by its end, not by the write to it.
  child.stdin.on("error", () => undefined);
  let heard = "";
  let alive = true;
  let wake: () => void = () => undefined;
  const hear = (chunk: Buffer) => {
    heard += chunk.toString();
    wake();
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const ended = new Promise<void>((resolve) => {
    child.on("close", () => {
      alive = false;
      wake();
      resolve();
    });
  });

  return {
    async exchange(text: string, stop: RegExp) {
      child.stdin.write(text);
      while (alive && !stop.test(heard)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
      const match = stop.exec(heard) ?? undefined;
      const said = heard.replace(stop, "");
      heard = "";
      return { said, stop: match };
    },
    async end() {
      child.stdin.end();
      await ended;
    },
  };
}
