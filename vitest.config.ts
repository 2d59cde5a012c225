/** @module The test projects: what each needs is in its name, so that a machine runs what it can. */
import { defineConfig } from "vitest/config";

const SLOW_TEST_MS = 60_000;

export default defineConfig({
  test: {
    projects: [
      { test: { name: "unit", include: ["{proto,services,agents,test}/**/*.test.ts"], exclude: notUnit() } },
      {
        test: {
          name: "integration",
          include: ["test/integration/**/*.test.ts", "{services,agents,test}/**/*.integration.test.ts"],
          exclude: ["**/node_modules/**"],
          testTimeout: SLOW_TEST_MS,
          hookTimeout: SLOW_TEST_MS,
        },
      },
      {
        test: {
          name: "netns",
          include: ["test/netns/**/*.test.ts", "agents/**/*.netns.test.ts"],
          exclude: ["**/node_modules/**"],
          testTimeout: 10 * SLOW_TEST_MS,
          hookTimeout: 10 * SLOW_TEST_MS,
          fileParallelism: false,
        },
      },
      {
        test: {
          name: "attack",
          include: ["test/attack/**/*.test.ts"],
          exclude: ["**/node_modules/**"],
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
