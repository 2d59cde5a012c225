import { createHash, createPrivateKey, createPublicKey, sign, verify as verifySignature } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { create, toBinary } from "@bufbuild/protobuf";
import { type AuditBlock, AuditBlockSchema, AuditEntrySchema } from "@spanwire/proto/audit";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import type { Signer } from "../records/crypto.ts";
import { decodeEntry } from "./entry.ts";
import { EXPORT_FORMATS, exportLines } from "./export-lines.ts";
import { createExportReader } from "./export-reader.ts";
import { LogVerifier, type Verdict } from "./log-verifier.ts";
import { decodeBlock } from "./open-block.ts";
import { NOW_MS, type TestLog, testChange, testLog } from "./testing.ts";

const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");
const crypto = {
  sha256: (data: Uint8Array | string) => new Uint8Array(createHash("sha256").update(data).digest()),
  verify: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
    verifySignature(
      null,
      message,
      createPublicKey({ key: Buffer.concat([SPKI, key]), format: "der", type: "spki" }),
      signature,
    ),
};
function signerFrom(seed: number): Signer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, Buffer.alloc(32, seed)]), format: "der", type: "pkcs8" });
  const publicKey = new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32));
  return { publicKey, sign: async (message) => new Uint8Array(sign(null, message, key)) };
}
const [root, online, stranger] = [signerFrom(1), signerFrom(2), signerFrom(3)];
const keys = { root, online, crypto };

let log: TestLog;
beforeAll(async () => {
  log = await testLog(
    [[1], [2, 3, 4], [5], [6, 7]].map((list) => list.map((n) => testChange(n))),
    keys,
  );
});

function verify(blocks: readonly AuditBlock[], more: { from?: bigint } = {}): Verdict {
  const verifier = new LogVerifier({ ...log.trust, ...more });
  for (const block of blocks) verifier.take(block);
  return verifier.finish();
}

/** The block at `at` with other entries, signature and all else as it was. */
function withEntries(at: number, change: (entries: Uint8Array[]) => Uint8Array[]): AuditBlock[] {
  return log.blocks.map((block, n) => (n === at ? { ...block, entries: change([...block.entries]) } : block));
}

function edited(bytes: Uint8Array | undefined): Uint8Array {
  const entry = decodeEntry(bytes ?? new Uint8Array()) ?? create(AuditEntrySchema);
  return toBinary(AuditEntrySchema, { ...entry, address: "198.51.100.9:1" });
}

test("a log as it was written is whole, and says when that was", () => {
  expect(verify(log.blocks)).toEqual({ problems: [], notes: [], first: 1n, last: 7n, endedAtMs: NOW_MS });
});

test("an empty log with its signed end is whole", async () => {
  const { blocks } = await testLog([], keys);
  expect(verify(blocks)).toMatchObject({ problems: [], last: 0n });
});

describe("one entry", () => {
  test.each([
    { name: "edited", blocks: () => withEntries(1, ([a, b, c]) => [a, edited(b), c] as Uint8Array[]) },
    { name: "edited, alone in its block", blocks: () => withEntries(0, ([a]) => [edited(a)]) },
  ])("$name is found", ({ blocks }) => {
    const { problems } = verify(blocks());
    expect(problems).toEqual([expect.stringMatching(/was changed after it was written/)]);
  });

  test.each([
    {
      name: "in the middle of a block",
      blocks: () => withEntries(1, ([a, , c]) => [a, c] as Uint8Array[]),
      want: /entry 3 is missing/,
    },
    {
      name: "at the beginning of a block",
      blocks: () => withEntries(1, ([, b, c]) => [b, c] as Uint8Array[]),
      want: /entry 2 is missing before entries 3 to 4/,
    },
    {
      name: "at the end of a block",
      blocks: () => withEntries(1, ([a, b]) => [a, b] as Uint8Array[]),
      want: /entry 4 is missing/,
    },
    {
      name: "with its block",
      blocks: () => log.blocks.toSpliced(2, 1),
      want: /entry 5 is missing before entries 6 to 7/,
    },
    {
      name: "the first of all",
      blocks: () => log.blocks.toSpliced(0, 1),
      want: /entries 1 to 1 are missing, and the hub has not said/,
    },
    {
      name: "the last of all",
      blocks: () => log.blocks.toSpliced(3, 1),
      want: /entries 6 to 7 are missing before the signed end/,
    },
    {
      name: "the last of all, and the end",
      blocks: () => log.blocks.slice(0, 3),
      want: /after entry 5: no signed end/,
    },
  ])("deleted $name is found", ({ blocks, want }) => {
    expect(verify(blocks()).problems).toContainEqual(expect.stringMatching(want));
  });

  test("in another place is found, in a block and with its block", () => {
    const within = withEntries(1, ([a, b, c]) => [b, a, c] as Uint8Array[]);
    expect(verify(within).problems).toContainEqual(expect.stringMatching(/entry 2 comes after entry 3/));
    const [first, second, third, ...rest] = log.blocks as [AuditBlock, AuditBlock, AuditBlock, ...AuditBlock[]];
    const moved = verify([first, third, second, ...rest]).problems;
    expect(moved).toContainEqual(expect.stringMatching(/entries 2 to 4 are missing before entry 5/));
    expect(moved).toContainEqual(expect.stringMatching(/entries 2 to 4: comes after entry 5/));
  });
});

test("any single change of any byte of any block is found", () => {
  fc.assert(
    fc.property(fc.nat(log.blocks.length - 1), fc.nat(), fc.integer({ min: 1, max: 255 }), (at, where, mask) => {
      const bytes = toBinary(AuditBlockSchema, log.blocks[at] as AuditBlock);
      const position = where % bytes.length;
      bytes[position] = (bytes[position] ?? 0) ^ mask;
      const changed = decodeBlock(bytes);
      if (changed === undefined) return true;
      // Some bytes only say the same in another way.
      const { entries, checkpoint } = log.blocks[at] as AuditBlock;
      if (isDeepStrictEqual([changed.entries, changed.checkpoint], [entries, checkpoint])) return true;
      return verify(log.blocks.with(at, changed)).problems.length > 0;
    }),
    { numRuns: 200 },
  );
});

describe("who did not sign for the mesh", () => {
  test.each([
    { name: "another key, with the right delegation", with: { signer: stranger } },
    { name: "another key, delegated to by itself", with: { root: stranger, signer: stranger } },
  ])("$name is not believed", async (forged) => {
    const other = await testLog([[testChange(1)]], {
      ...keys,
      root: forged.with.root ?? root,
      online: forged.with.signer,
    });
    const blocks = other.blocks.map((block, at) => ({
      ...block,
      ...(forged.with.root === undefined ? { delegation: log.blocks[at]?.delegation ?? new Uint8Array() } : {}),
    }));
    expect(verify(blocks).problems).toContainEqual(expect.stringMatching(/^entry 1: its (signature|key) is not/));
  });

  test("the log of another mesh is not this one's", () => {
    const verifier = new LogVerifier({ ...log.trust, meshId: "mesh-other" });
    for (const block of log.blocks) verifier.take(block);
    expect(verifier.finish().problems).not.toEqual([]);
  });

  test("an end that a block's own signature stands for is none", () => {
    const [, second] = log.blocks;
    const cut = [log.blocks[0], second, { ...second, entries: [] }].filter((block) => block !== undefined);
    expect(verify(cut as AuditBlock[]).problems).toContainEqual(expect.stringMatching(/no signed end/));
  });
});

describe("an older copy of the log", () => {
  test("is the beginning of the newer one, whole or in parts", () => {
    expect(verify([...log.blocks, ...log.blocks]).problems).toEqual([]);
  });

  test("shows that whoever has the key has written another history", async () => {
    const rewritten = await testLog(
      [[1], [2, 3, 4]].map((list) => list.map((n) => testChange(n, { action: "x" }))),
      keys,
    );
    expect(verify(rewritten.blocks).problems).toEqual([]);
    expect(verify([...log.blocks, ...rewritten.blocks]).problems).toContainEqual(
      expect.stringMatching(/^entry 1: is not what an earlier copy of the log has there/),
    );
  });
});

describe("a log without its oldest entries", () => {
  const trim = (kept: number) =>
    testChange(6, { actor: { kind: "hub" }, action: "audit.trim", target: `audit.${kept}` });

  test("is whole where the hub says in it that it removed them, and not where it kept more", async () => {
    const { blocks } = await testLog([[testChange(1)], [testChange(2)], [testChange(3), trim(3)]], keys);
    expect(verify(blocks.slice(2)).problems).toEqual([]);
    const kept = await testLog([[testChange(1)], [testChange(2)], [testChange(3), trim(2)]], keys);
    expect(verify(kept.blocks.slice(2)).problems).toEqual([
      "entries 1 to 2 are missing, and the hub has not said that it removed them",
    ]);
  });

  test("is whole as a part that begins where it should", () => {
    expect(verify(log.blocks.slice(1), { from: 2n })).toMatchObject({ problems: [], first: 2n, last: 7n });
    expect(verify(log.blocks.slice(2), { from: 2n }).problems).toHaveLength(1);
  });
});

test("what the log itself says is missing is said", async () => {
  const lost = testChange(2, { action: "audit.lost", message: "the store lost entries 2 to 9" });
  const drop = testChange(3, { action: "audit.drop", message: "4 entries were not written" });
  const { blocks } = await testLog([[testChange(1)], [lost, drop]], keys);
  expect(verify(blocks)).toMatchObject({
    problems: ["entry 2: the store lost entries 2 to 9"],
    notes: ["entry 3: 4 entries were not written"],
  });
});

describe.each(EXPORT_FORMATS)("an export as %s", (format) => {
  const lines = () => log.blocks.flatMap((block) => exportLines(block, format, log.trust.meshId));

  test("is verified by itself, also after a tool has put its fields in another order", () => {
    expect(verifyLines(lines())).toMatchObject({ problems: [], last: 7n, endedAtMs: NOW_MS });
    const reversed = lines().map((line) =>
      JSON.stringify(Object.fromEntries(Object.entries(JSON.parse(line)).reverse())),
    );
    expect(verifyLines(reversed).problems).toEqual([]);
  });

  test("deleting, editing, copying over or moving any line is found", () => {
    const all = lines();
    for (const [at, line] of all.entries()) {
      const name = `${format} line ${at + 1}`;
      expect(verifyLines(all.toSpliced(at, 1)).problems, `${name} deleted`).not.toEqual([]);
      expect(
        verifyLines(all.with(at, line.replace("cluster.c", "cluster.x"))).problems.length > 0,
        `${name} edited`,
      ).toBe(line.includes("cluster.c"));
      expect(verifyLines(all.with(at, all[(at + 1) % all.length] ?? "")).problems, `${name} replaced`).not.toEqual([]);
      if (at === 0) continue;
      const moved = all.toSpliced(at, 1).toSpliced(at - 1, 0, line);
      expect(verifyLines(moved).problems, `${name} moved`).not.toEqual([]);
    }
  });

  function verifyLines(all: readonly string[]): Verdict {
    const verifier = new LogVerifier(log.trust);
    const reader = createExportReader(verifier, log.trust.meshId);
    for (const [at, line] of all.entries()) reader.line(line, `x:${at + 1}`);
    reader.end("x");
    return verifier.finish();
  }
});

test.each([
  "",
  "{",
  "null",
  "[]",
  "{}",
  '{"proof":1}',
  '{"proof":{"entry":1}}',
  '{"proof":{"entry":"%%"}}',
])("%j is not a line of an export", (line) => {
  const verifier = new LogVerifier(log.trust);
  const reader = createExportReader(verifier, log.trust.meshId);
  reader.line(line, "x:1");
  expect(verifier.finish().problems[0]).toMatch(/^x:1: /);
});
