import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readState, writeState } from "./state-file.ts";
import { writeFileAtomic } from "./write-file-atomic.ts";

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-state-"));
  path = join(directory, "map");
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const one = Buffer.from("version one");
const two = Buffer.from("version two");

test("nothing written is nothing read", async () => {
  expect(await readState(path)).toBeUndefined();
});

test("reads the last version; the file is private and no temporary one is left", async () => {
  await writeState(path, one);
  await writeState(path, two);
  expect(await read()).toEqual({ text: "version two", source: "current" });
  expect(await readdir(directory)).toEqual(["map", "map.previous"]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

test("an empty state is a state", async () => {
  await writeState(path, new Uint8Array());
  expect(await read()).toEqual({ text: "", source: "current" });
});

test("any flipped bit and any torn length is noticed, and the previous version is used", async () => {
  await writeState(path, one);
  await writeState(path, two);
  const whole = await readFile(path);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(whole.length * 8 - 1),
      fc.nat(whole.length - 1),
      fc.boolean(),
      async (bit, length, torn) => {
        const damaged = Buffer.from(torn ? whole.subarray(0, length) : whole);
        if (!torn) damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        await writeFile(path, damaged);
        expect(await read()).toEqual({ text: "version one", source: "previous" });
      },
    ),
  );
});

test("a crash between the two renames leaves the previous version", async () => {
  await writeState(path, one);
  await rename(path, `${path}.previous`);
  await writeFile(`${path}.new`, "half of vers");
  expect(await read()).toEqual({ text: "version one", source: "previous" });
  await writeState(path, two);
  expect(await read()).toEqual({ text: "version two", source: "current" });
});

test("a damaged version does not replace a good previous one", async () => {
  await writeState(path, one);
  await writeState(path, two);
  await writeFile(path, "rot");
  await writeState(path, Buffer.from("version three"));
  await writeFile(path, "rot again");
  expect(await read()).toEqual({ text: "version one", source: "previous" });
});

test("damage without an intact version is an error, not a first start", async () => {
  await writeState(path, one);
  await writeFile(path, "");
  await expect(readState(path)).rejects.toMatchObject({ code: "corrupt", reason: "STATE_CORRUPT", retryable: false });
});

test("a path that cannot be written keeps what is stored, says why, and works again later", async () => {
  await writeState(path, one);
  // A directory in the place of the temporary file stops every user, root included.
  await mkdir(`${path}.new/x`, { recursive: true });
  await expect(writeState(path, two)).rejects.toMatchObject({ code: "unavailable", retryable: true });
  expect(await read()).toEqual({ text: "version one", source: "current" });
  await rm(`${path}.new`, { recursive: true });
  await writeState(path, two);
  expect(await read()).toEqual({ text: "version two", source: "current" });
});

test("an unreadable file is neither missing nor damaged", async () => {
  await mkdir(path);
  await expect(readState(path)).rejects.toMatchObject({ code: "unavailable", reason: "STATE_NOT_READ" });
});

test("readers meanwhile see only whole versions", async () => {
  const versions = Array.from({ length: 20 }, (_, i) => Buffer.alloc(100_000, i));
  await writeFileAtomic(path, versions[0] ?? one);
  let writing = true;
  const writer = (async () => {
    for (const version of versions) await writeFileAtomic(path, version);
    writing = false;
  })();
  while (writing) {
    const seen = await readFile(path);
    expect(new Set(seen).size).toBe(1);
    expect(seen).toHaveLength(100_000);
  }
  await writer;
});

test("replaces a temporary file that a crash left with open permissions", async () => {
  await writeFile(`${path}.new`, "old");
  await chmod(`${path}.new`, 0o644);
  await writeFileAtomic(path, one);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
});

async function read() {
  const state = await readState(path);
  return { text: Buffer.from(state?.bytes ?? []).toString(), source: state?.source };
}
