import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";

import { cached } from "./cached.ts";
import type { LabConfig } from "./config.ts";

let config: LabConfig;

beforeEach(async () => {
  const cacheDirectory = await mkdtemp(join(tmpdir(), "spanwire-cached-"));
  config = { cacheDirectory, ci: false, mayInstall: false, accelerator: undefined, inherited: {} };
});
afterEach(() => rm(config.cacheDirectory, { recursive: true }));

const silent = () => undefined;
const writes = (text: string) => ({
  name: "thing",
  recipe: { version: 1 },
  build: (directory: string) => writeFile(join(directory, "file"), text),
});

test("builds once, and again for another recipe", async () => {
  const first = await cached(writes("one"), config, silent);
  expect(await cached(writes("two"), config, silent)).toBe(first);
  expect(await readFile(join(first, "file"), "utf8")).toBe("one");
  expect(await cached({ ...writes("two"), recipe: { version: 2 } }, config, silent)).not.toBe(first);
});

test("a failed build leaves nothing and the next one starts afresh", async () => {
  const failing = {
    ...writes(""),
    async build(directory: string) {
      await writeFile(join(directory, "half"), "");
      throw new Error("killed");
    },
  };
  await expect(cached(failing, config, silent)).rejects.toThrow("killed");
  expect(await readdir(config.cacheDirectory)).toEqual([]);
  expect(await readdir(await cached(writes("whole"), config, silent))).toEqual(["file"]);
});

test("removes what a killed process left, and not what a living one is building", async () => {
  const dead = ".part-thing-999999999-abc";
  const alive = `.part-thing-${process.ppid}-abc`;
  for (const name of [dead, alive]) await mkdir(join(config.cacheDirectory, name));
  await cached(writes(""), config, silent);
  const left = await readdir(config.cacheDirectory);
  expect(left).not.toContain(dead);
  expect(left).toContain(alive);
});

test("two builds at once both succeed with the same directory", async () => {
  const [first, second] = await Promise.all([cached(writes("x"), config, silent), cached(writes("x"), config, silent)]);
  expect(first).toBe(second);
  expect(await readdir(config.cacheDirectory)).toHaveLength(1);
});
