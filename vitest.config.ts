/** @module The test projects: what each needs is in its name, so that a machine runs what it can. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";

const SLOW_TEST_MS = 120_000;
/** How long a condition is waited for: long, because a condition that holds is not waited for at all. */
const poll = { timeout: 60_000, interval: 20 };
/** Hubs and commands are started a hundred times: what one has compiled the next one need not. */
const env = { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/node-compile") };

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["{proto,services,agents,test}/**/*.test.ts"],
          exclude: notUnit(),
          // A fresh process for each file costs three times what the tests do. No module here has state of its own that
          // one file could leave to the next.
          isolate: false,
          // Properties take their time on a busy machine.
          testTimeout: SLOW_TEST_MS,
          expect: { poll },
        },
      },
      {
        test: {
          name: "integration",
          // Most of a file is waiting for timers of the program, in which another one can work.
          maxWorkers: 3,
          sequence: { groupOrder: 1 }, // Projects of one group must have equally many.
          env,
          include: ["test/integration/**/*.test.ts", "{services,agents,test}/**/*.integration.test.ts"],
          exclude: ["**/node_modules/**"],
          testTimeout: 2 * SLOW_TEST_MS,
          hookTimeout: 2 * SLOW_TEST_MS,
          expect: { poll },
        },
      },
      {
        test: {
          name: "netns",
          include: ["test/netns/**/*.test.ts", "agents/**/*.netns.test.ts"],
          exclude: ["**/node_modules/**"],
          expect: { poll },
          testTimeout: 5 * SLOW_TEST_MS,
          hookTimeout: 5 * SLOW_TEST_MS,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "attack",
          env,
          include: ["test/attack/**/*.test.ts"],
          exclude: ["**/node_modules/**"],
          expect: { poll },
          testTimeout: 2 * SLOW_TEST_MS,
          hookTimeout: SLOW_TEST_MS,
        },
      },
    ],
  },
});

function notUnit(): string[] {
  return ["**/node_modules/**", "**/*.{integration,netns}.test.ts", "test/{integration,netns,attack}/**"];
}
