import { createHash, createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import type { Admission } from "@spanwire/proto/record";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Signer } from "./crypto.ts";
import { recordsBy } from "./testing.ts";

const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI = Buffer.from("302a300506032b6570032100", "hex");

function signerFrom(seed: number): Signer {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8, Buffer.alloc(32, seed)]), format: "der", type: "pkcs8" });
  return { publicKey: rawPublicKey(key), sign: async (message) => sign(null, message, key) };
}

function rawPublicKey(key: KeyObject): Uint8Array {
  return new Uint8Array(createPublicKey(key).export({ format: "der", type: "spki" }).subarray(-32));
}

const crypto = {
  sha256: (data: Uint8Array | string) => new Uint8Array(createHash("sha256").update(data).digest()),
  verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) =>
    verify(null, message, { key: Buffer.concat([SPKI, publicKey]), format: "der", type: "spki" }, signature),
};

const [root, online, eu0, eu1, us0, stranger] = [1, 2, 3, 4, 5, 6].map(signerFrom) as [
  Signer,
  Signer,
  Signer,
  Signer,
  Signer,
  Signer,
];
const by = recordsBy(root, crypto);
/** A field that this version does not know, as the decoder keeps it. */
const later = { $unknown: [{ no: 900, wireType: 0, data: new Uint8Array([1]) }] };

describe("who may sign what", () => {
  const tombstone = { case: "tombstone", value: { reason: "test" } } as const;
  const epoch = { case: "epoch", value: { active: 0n } } as const;
  const order = { incarnation: 1n, generation: 9n };

  test.each([
    {
      name: "the root an epoch",
      bytes: () => by.sign(root, { key: "epoch", ...order, body: epoch }),
      want: "accepted",
    },
    {
      name: "the online key an epoch",
      bytes: () => by.sign(online, { key: "epoch", ...order, body: epoch }),
      want: "accepted",
    },
    {
      name: "a gateway an epoch",
      bytes: () => by.sign(eu0, { key: "epoch", ...order, body: epoch }),
      want: "UNKNOWN_SIGNER",
    },
    {
      name: "the online key an admission",
      bytes: () => by.sign(online, { key: "cluster.asia", ...order, body: { case: "admission", value: {} } }),
      want: "NOT_ENTITLED",
    },
    {
      name: "the online key a tombstone of a cluster",
      bytes: () => by.sign(online, { key: "cluster.eu", ...order, body: tombstone }),
      want: "accepted",
    },
    {
      name: "a gateway its own tombstone",
      bytes: () => by.sign(eu0, { key: "gateway.eu.0", ...order, body: tombstone }),
      want: "NOT_ENTITLED",
    },
    { name: "the root a statement", bytes: () => by.statement(root, "eu"), want: "NOT_ENTITLED" },
    { name: "another gateway's identity a statement", bytes: () => by.statement(us0, "eu"), want: "UNKNOWN_SIGNER" },
    { name: "the sibling's identity a statement", bytes: () => by.statement(eu1, "eu"), want: "UNKNOWN_SIGNER" },
    {
      name: "an identity of an incarnation that is not admitted",
      bytes: () => by.statement(eu0, "eu", { incarnation: 2n }),
      want: "NOT_ENTITLED",
    },
    {
      name: "a stranger anything",
      bytes: () => by.admission("asia", []).then(() => by.sign(stranger, { key: "epoch", ...order, body: epoch })),
      want: "UNKNOWN_SIGNER",
    },
    {
      name: "an admission with the body of an epoch",
      bytes: () => by.sign(root, { key: "cluster.asia", ...order, body: epoch }),
      want: "NOT_ENTITLED",
    },
    {
      name: "the online key a type of a later version",
      bytes: () => by.sign(online, { key: "novelty.x", ...order }),
      want: "accepted",
    },
  ])("$name: $want", async ({ bytes, want }) => {
    const map = await joinedMap();
    const record = await bytes();
    const offered = map.offer(keyOf(record), record);
    expect(offered.kind === "refused" ? offered.reason : offered.kind).toBe(want);
  });
});

describe("what is refused changes nothing", () => {
  test("a record stored under another key", async () => {
    const map = await joinedMap();
    const before = map.digest();
    const offered = map.offer("cluster.asia", await by.admission("eu", [eu0], { generation: 7n }));
    expect(offered).toMatchObject({ kind: "refused", reason: "BAD_SIGNATURE" });
    expect(map.digest()).toEqual(before);
  });

  test("any bytes", async () => {
    const map = await joinedMap();
    const before = map.digest();
    fc.assert(fc.property(fc.uint8Array(), (bytes) => map.offer("gateway.eu.0", bytes).kind === "refused"));
    expect(map.digest()).toEqual(before);
  });

  test("a record with any one bit flipped, or what it says is still what was signed", async () => {
    const good = await by.statement(eu0, "eu", { generation: 5n });
    const said = (await joinedMap()).open("gateway.eu.0", good);
    for (let bit = 0; bit < good.length * 8; bit++) {
      const flipped = Uint8Array.from(good);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const map = await joinedMap();
      if (map.offer("gateway.eu.0", flipped).kind !== "accepted") continue;
      // A decoder is lenient about the envelope's tags; a relay must not be able to make a fork out of that.
      expect(map.get("gateway.eu.0")?.payload, `bit ${bit}`).toEqual(said.ok && said.record.payload);
      expect(map.offer("gateway.eu.0", good).kind, `bit ${bit}`).toBe("known");
    }
  });
});

describe("orders", () => {
  test("a retry is known, an older one stale, another of the same order a fork", async () => {
    const map = await joinedMap();
    const second = await by.statement(eu0, "eu", { generation: 2n });
    expect(map.offer("gateway.eu.0", second).kind).toBe("accepted");
    expect(map.offer("gateway.eu.0", second).kind).toBe("known");
    expect(map.offer("gateway.eu.0", await by.statement(eu0, "eu")).kind).toBe("stale");
    const other = await by.statement(eu0, "eu", { generation: 2n, host: "203.0.113.9" });
    expect(map.offer("gateway.eu.0", other).kind).toBe("fork");
    expect(map.statements.get("gateway.eu.0")?.statement.endpoints[0]?.host).toBe("192.0.2.1");
  });

  test("never fall, whatever the deliveries", async () => {
    const records = await Promise.all([1n, 2n, 3n, 4n].map((generation) => by.statement(eu0, "eu", { generation })));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(3), { minLength: 1 }), async (deliveries) => {
        const map = await joinedMap();
        let highest = 0;
        for (const index of deliveries) {
          map.offer("gateway.eu.0", records[index] as Uint8Array);
          highest = Math.max(highest, index + 1);
          expect(map.get("gateway.eu.0")?.order.generation).toBe(BigInt(highest));
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe("admissions and statements", () => {
  test("a statement ends with its incarnation and with its cluster", async () => {
    const map = await joinedMap();
    map.offer("gateway.eu.0", await by.statement(eu0, "eu"));
    expect([...map.statements.keys()]).toEqual(["gateway.eu.0"]);

    map.offer("cluster.eu", await by.admission("eu", [stranger], { incarnation: 2n }));
    expect([...map.statements.keys()]).toEqual([]);
    map.offer("gateway.eu.0", await by.statement(stranger, "eu", { incarnation: 2n }));
    expect([...map.statements.keys()]).toEqual(["gateway.eu.0"]);

    map.offer(
      "cluster.eu",
      await by.sign(online, {
        key: "cluster.eu",
        incarnation: 2n,
        generation: 2n,
        body: { case: "tombstone", value: {} },
      }),
    );
    expect([...map.admissions.keys()]).toEqual(["us"]);
    expect([...map.statements.keys()]).toEqual([]);
  });

  test("the first owner of a WireGuard public key keeps it until it gives it up", async () => {
    const map = await joinedMap();
    const publicKey = new Uint8Array(32).fill(7);
    map.offer("gateway.eu.0", await by.statement(eu0, "eu", { publicKey }));
    const claim = await by.statement(us0, "us", { publicKey });
    expect(map.offer("gateway.us.0", claim)).toMatchObject({ kind: "refused", reason: "KEY_CLAIMED" });
    map.offer("gateway.eu.0", await by.statement(eu0, "eu", { generation: 2n }));
    expect(map.offer("gateway.us.0", claim).kind).toBe("accepted");
  });

  test("an unknown type is kept and reported", async () => {
    const map = await joinedMap();
    map.offer("novelty.x", await by.sign(root, { key: "novelty.x", incarnation: 1n, generation: 1n }));
    expect(map.unknownKeys()).toEqual(["novelty.x"]);
  });

  test("a record with fields of a later version is obeyed as far as it is known, kept and reported", async () => {
    const map = await joinedMap();
    const value = { ...map.admissions.get("eu"), ...later } as Admission;
    const body = { case: "admission", value } as const;
    const bytes = await by.sign(root, { key: "cluster.eu", incarnation: 1n, generation: 2n, body });
    expect(map.offer("cluster.eu", bytes).kind).toBe("accepted");
    expect(map.get("cluster.eu")?.bytes).toBe(bytes);
    expect(map.admissions.get("eu")).toMatchObject({ clusterId: "eu", ...later });
    expect([map.unknownFieldKeys(), map.unknownKeys()]).toEqual([["cluster.eu"], []]);
    map.offer("cluster.eu", await by.admission("eu", [eu0], { generation: 3n }));
    expect(map.unknownFieldKeys()).toEqual([]);
  });
});

describe("digest", () => {
  test("leaves out a statement that nobody can verify any more, so that late comers agree", async () => {
    const readmitted = await by.admission("eu", [stranger], { incarnation: 2n });
    const early = await joinedMap();
    early.offer("gateway.eu.0", await by.statement(eu0, "eu"));
    early.offer("cluster.eu", readmitted);
    const late = await joinedMap();
    late.offer("cluster.eu", readmitted);
    expect(late.offer("gateway.eu.0", await by.statement(eu0, "eu")).kind).toBe("refused");
    expect(early.digest()).toEqual(late.digest());

    for (const map of [early, late]) {
      map.offer("gateway.eu.0", await by.statement(stranger, "eu", { incarnation: 2n }));
    }
    expect(early.digest()).toEqual(late.digest());
    expect(early.get("gateway.eu.0")?.order.incarnation).toBe(2n);
  });

  test("depends on the records alone, not on the way to them", async () => {
    const [first, second, third] = await Promise.all(
      [1n, 2n, 3n].map((generation) => by.statement(eu0, "eu", { generation })),
    );
    const straight = await joinedMap();
    straight.offer("gateway.eu.0", third as Uint8Array);
    const winding = await joinedMap();
    for (const record of [first, second, third]) winding.offer("gateway.eu.0", record as Uint8Array);
    expect(winding.digest()).toEqual(straight.digest());
    expect(winding.digest()).not.toEqual((await joinedMap()).digest());
  });
});

/** A map that knows the online key and the clusters eu (two gateways) and us (one). */
async function joinedMap() {
  const map = by.emptyMap();
  map.offer("delegation", await by.delegation(online));
  map.offer("cluster.eu", await by.admission("eu", [eu0, eu1]));
  map.offer("cluster.us", await by.admission("us", [us0]));
  return map;
}

/** The key inside the payload: field 1 of the payload, which is field 1 of the record. */
function keyOf(record: Uint8Array): string {
  const text = Buffer.from(record).toString("latin1");
  return /(?:epoch|gateway\.eu\.0|cluster\.[a-z]+|novelty\.x)/.exec(text)?.[0] ?? "";
}
