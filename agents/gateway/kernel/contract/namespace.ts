/** @module A network namespace of its own for one test, gone with everything in it. */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { promisify } from "node:util";

const run = promisify(execFile);

export interface TestNamespace extends AsyncDisposable {
  readonly name: string;
  /** What openKernel takes as `netns`. */
  readonly path: string;
  /** Runs a program in it and returns its standard output; throws with what it complained about. */
  exec(program: string, ...args: readonly string[]): Promise<string>;
}

export async function createTestNamespace(): Promise<TestNamespace> {
  const name = `sw-test-${randomBytes(4).toString("hex")}`;
  await run("ip", ["netns", "add", name]);
  await run("ip", ["-n", name, "link", "set", "lo", "up"]);
  return {
    name,
    path: `/run/netns/${name}`,
    exec: async (program, ...args) => (await run("ip", ["netns", "exec", name, program, ...args])).stdout,
    [Symbol.asyncDispose]: async () => {
      await run("ip", ["netns", "del", name]);
    },
  };
}
