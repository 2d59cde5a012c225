import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { LOCK_FILE, lockDirectory } from "./lock-directory.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-lock-"));
});
afterEach(() => rm(directory, { recursive: true }));

test("one at a time, and the next after it", async () => {
  {
    await using _held = await lockDirectory(directory);
    await expect(lockDirectory(directory)).rejects.toMatchObject({
      reason: "ALREADY_RUNNING",
      message: expect.stringContaining(`process ${process.pid}`),
    });
  }
  await using _next = await lockDirectory(directory);
  expect(await readdir(directory)).toEqual([LOCK_FILE]);
});

test("of many at once one gets it", async () => {
  const all = await Promise.allSettled(Array.from({ length: 20 }, () => lockDirectory(directory)));
  expect(all.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  expect(await readdir(directory)).toEqual([LOCK_FILE]);
});

test.each([
  { name: "a process that is dead", content: async () => `${await deadPid()} 12345\n` },
  { name: "another process that has its pid now", content: async () => `${process.pid} 1\n` },
  { name: "nobody, half written", content: async () => "" },
  { name: "nobody, damaged", content: async () => "\0\0\0" },
])("takes it from $name", async ({ content }) => {
  await writeFile(join(directory, LOCK_FILE), await content());
  await using _held = await lockDirectory(directory);
  await expect(lockDirectory(directory)).rejects.toMatchObject({ reason: "ALREADY_RUNNING" });
});

async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["--version"], { stdio: "ignore" });
  await once(child, "exit");
  return child.pid ?? 0;
}
