import { mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { OpenedRecord } from "@spanwire/core/records/open";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { frameEntries, readFrames } from "./journal-frame.ts";
import { MapStore } from "./map-store.ts";

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "spanwire-map-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const positions = (sequence: bigint) => ({
  cursor: { lineage: 3n, sequence },
  horizon: { lineage: 3n, sequence: sequence + 1n },
});

/** What the store keeps of a record is its key and bytes; the bytes here are the generation as text. */
const record = (key: string, generation: number): OpenedRecord => ({
  key,
  bytes: Buffer.from(`${key} at ${generation}`),
  order: { incarnation: 1n, generation: BigInt(generation) },
  payload: {} as OpenedRecord["payload"],
});

/** What a new process finds: the highest generation for each key. */
async function reload() {
  const store = new MapStore(directory);
  const { positions, entries, remarks } = await store.load();
  const highest: Record<string, number> = {};
  for (const { key, record: bytes } of entries) {
    const generation = Number(Buffer.from(bytes).toString().split(" at ")[1]);
    highest[key] = Math.max(highest[key] ?? 0, generation);
  }
  return { store, highest, sequence: positions?.cursor.sequence, positions, remarks };
}

test("nothing kept is nothing found", async () => {
  expect(await reload()).toMatchObject({ highest: {}, positions: undefined, remarks: [] });
});

test("finds what was saved and what was appended since; files are private", async () => {
  const store = new MapStore(directory);
  await store.load();
  store.append([record("a", 1)]);
  await store.save(positions(7n), [record("a", 1), record("b", 1)]);
  store.append([record("a", 2), record("c", 1)]);
  await store.sync();
  expect(store).toMatchObject({ failure: undefined, wantsSave: false });
  expect(await reload()).toMatchObject({ highest: { a: 2, b: 1, c: 1 }, positions: positions(7n), remarks: [] });
  for (const name of await readdir(directory)) expect((await stat(join(directory, name))).mode & 0o777).toBe(0o600);
});

test("what is accepted while the map is being written is kept", async () => {
  const store = new MapStore(directory);
  await store.load();
  const saving = store.save(positions(1n), [record("a", 1)]);
  store.append([record("a", 2)]);
  await saving;
  store.append([record("b", 1)]);
  expect((await reload()).highest).toEqual({ a: 2, b: 1 });
});

describe("after a crash or damage", { timeout: 60_000 }, () => {
  /** Three generations of the map with changes after each. */
  async function prepare(): Promise<void> {
    const store = new MapStore(directory);
    await store.load();
    for (const generation of [1, 2, 3]) {
      await store.save(positions(BigInt(generation)), [record("a", generation), record("b", generation)]);
      store.append([record("c", generation)]);
    }
    store.close();
  }
  const whole = { a: 3, b: 3, c: 3 };

  test.each([
    "map.state",
    "map.state.previous",
    "map.journal.previous",
  ])("every byte of %s may be flipped", async (name) => {
    await prepare();
    const path = join(directory, name);
    const bytes = await readFile(path);
    for (let at = 0; at < bytes.length; at++) {
      const damaged = Buffer.from(bytes);
      damaged[at] = (damaged[at] ?? 0) ^ 0x10;
      await writeFile(path, damaged);
      const found = await reload();
      expect(found.highest, `byte ${at}`).toEqual(name === "map.state" ? { ...whole, a: 2, b: 2 } : whole);
      expect(found.remarks.length, `byte ${at}`).toBe(name === "map.state.previous" ? 0 : 1);
    }
  });

  test.each([
    "map.state",
    "map.state.previous",
    "map.journal.previous",
  ])("%s may be torn anywhere, or be gone", async (name) => {
    await prepare();
    const path = join(directory, name);
    const bytes = await readFile(path);
    for (let length = bytes.length - 1; length >= 0; length--) {
      await truncate(path, length);
      expect((await reload()).highest, `length ${length}`).toEqual(
        name === "map.state" ? { ...whole, a: 2, b: 2 } : whole,
      );
    }
    await rm(path);
    expect((await reload()).highest).toEqual(name === "map.state" ? { ...whole, a: 2, b: 2 } : whole);
  });

  test("a map that is damaged right after it was written loses nothing that went through the journal", async () => {
    const store = new MapStore(directory);
    await store.load();
    store.append([record("a", 1)]);
    await store.save(positions(1n), [record("a", 1)]);
    store.append([record("a", 2)]);
    await store.save(positions(2n), [record("a", 2)]);
    store.append([record("a", 3)]);
    await writeFile(join(directory, "map.state"), "rot");
    expect(await reload()).toMatchObject({ highest: { a: 3 }, sequence: 1n });
  });

  test("a journal loses at most the damaged entries, says so, and goes on behind its last whole one", async () => {
    const bytes = Buffer.concat([0, 1, 2, 3].map((n) => frame(`k${n}`)));
    const frameBytes = bytes.length / 4;
    fc.assert(
      fc.property(fc.nat(bytes.length * 8 - 1), (bit) => {
        const damaged = Buffer.from(bytes);
        damaged[bit >> 3] = (damaged[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        const found = readFrames(damaged);
        const before = Math.floor((bit >> 3) / frameBytes);
        expect(found.entries.slice(0, before).map(({ key }) => key)).toEqual(["k0", "k1", "k2", "k3"].slice(0, before));
        expect(found.whole).toBe(false);
        expect(found.entries.every(({ key, record: kept }) => Buffer.from(kept).toString() === `${key} at 1`)).toBe(
          true,
        );
      }),
    );
    for (let length = 0; length < bytes.length; length++) {
      const found = readFrames(bytes.subarray(0, length));
      expect(found.entries).toHaveLength(Math.floor(length / frameBytes));
      expect(found.whole).toBe(length % frameBytes === 0);
    }
  });

  test("appends behind a torn entry", async () => {
    const store = new MapStore(directory);
    await store.load();
    store.append([record("a", 1)]);
    store.append([record("b", 1)]);
    store.close();
    const path = join(directory, "map.journal");
    await truncate(path, (await stat(path)).size - 1);
    const next = await reload();
    expect(next).toMatchObject({ highest: { a: 1 }, remarks: [expect.stringContaining("map.journal")] });
    next.store.append([record("c", 1)]);
    expect(await reload()).toMatchObject({ highest: { a: 1, c: 1 }, remarks: [] });
  });

  test("a map without an intact version still gives the journal, and no position to trust", async () => {
    await prepare();
    await writeFile(join(directory, "map.state"), "rot");
    await writeFile(join(directory, "map.state.previous"), "rot");
    const found = await reload();
    expect(found).toMatchObject({ highest: { c: 3 }, positions: undefined });
    expect(found.remarks.join()).toContain("damaged");
  });
});

describe("where nothing can be written", () => {
  test("a change is not an error; it says what failed, and keeps everything once it can", async () => {
    const store = new MapStore(directory);
    await store.load();
    await mkdir(join(directory, "map.journal")); // stops every user, root included
    store.append([record("a", 1)]);
    expect(store.failure).toContain("EISDIR");
    expect(store.wantsSave).toBe(true);

    await mkdir(join(directory, "map.state.new/x"), { recursive: true });
    await store.save(positions(1n), [record("a", 1)]);
    expect(store.failure).toContain("map");

    await rm(join(directory, "map.journal"), { recursive: true });
    await rm(join(directory, "map.state.new"), { recursive: true });
    await store.save(positions(1n), [record("a", 1)]);
    expect(store).toMatchObject({ failure: undefined, wantsSave: false });
    store.append([record("a", 2)]);
    expect(await reload()).toMatchObject({ highest: { a: 2 }, remarks: [] });
  });
});

test("wants to be saved when the journal has outgrown the map, and not before", async () => {
  const store = new MapStore(directory);
  await store.load();
  const big = { ...record("a", 1), bytes: Buffer.alloc(60_000) };
  for (let n = 0; n < 4; n++) store.append([big]);
  expect(store.wantsSave).toBe(false);
  store.append([big]);
  expect(store.wantsSave).toBe(true);
  await store.save(positions(1n), [big]);
  expect(store.wantsSave).toBe(false);
});

function frame(key: string): Uint8Array {
  const bytes = Buffer.from(`${key} at 1`);
  return frameEntries([{ key, record: bytes }]);
}
