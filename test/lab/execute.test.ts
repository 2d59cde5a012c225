import { expect, test } from "vitest";

import { execute, executeOrThrow, lastLines } from "./execute.ts";

test.each([
  {
    name: "success",
    argv: ["sh", "-c", "echo out; echo err >&2"],
    want: { status: 0, stdout: "out\n", stderr: "err\n" },
  },
  { name: "failure", argv: ["sh", "-c", "exit 3"], want: { status: 3, stdout: "", stderr: "" } },
  { name: "no such program", argv: ["spanwire-no-such-program"], want: { status: 127, stdout: "", stderr: "" } },
  { name: "a program that may not be run", argv: ["/"], want: { status: 127, stdout: "", stderr: "" } },
])("reports $name", async ({ argv, want }) => {
  expect(await execute(argv)).toEqual(want);
});

test("hands input over, also to a program that does not read it", async () => {
  expect((await execute(["cat"], { input: "hello" })).stdout).toBe("hello");
  expect((await execute(["true"], { input: "x".repeat(1 << 20) })).status).toBe(0);
});

test("an abort kills the program", async () => {
  const controller = new AbortController();
  const running = execute(["sleep", "60"], { signal: controller.signal });
  controller.abort();
  await expect(running).rejects.toThrow(/abort/i);
});

test("the thrown error names command, status and reason", async () => {
  await expect(executeOrThrow(["sh", "-c", "echo why >&2; exit 2"])).rejects.toThrow(/sh -c .*: status 2: why/s);
  expect(lastLines("a\n\nb\nc\n", 2)).toBe("b\nc");
});
