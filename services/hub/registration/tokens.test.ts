import { randomBytes } from "@spanwire/runtime/crypto/random";
import { expect, test } from "vitest";
import { createFakeStateStore } from "../state/fake-state-store.ts";
import { tokenState } from "./token-record.ts";
import { claimToken, createToken, listTokens, revokeToken, revokeUnusedTokens, sweepTokens } from "./tokens.ts";

const NOW = 1_800_000_000_000;
const HOUR = 3_600_000;
const LINEAGE = 5n;
const now = { nowMs: NOW, lineage: LINEAGE };
const frame = {
  hubAddress: "hub.example:7443",
  caSpkiSha256: new Uint8Array(32),
  authoritySha256: new Uint8Array(32),
};
const alice = new Uint8Array(32).fill(1);
const mallory = new Uint8Array(32).fill(2);

async function setUp({ ordinal }: { ordinal?: number } = {}) {
  const { registry } = createFakeStateStore();
  const { token } = await createToken(
    registry,
    { clusterId: "eu", ordinal, ttlMs: HOUR },
    { ...now, frame, randomBytes },
  );
  const use = {
    id: token.id,
    secret: token.secret.reveal(),
    clusterId: "eu",
    ordinal: undefined as number | undefined,
    identityKey: alice,
    requestSha256: new Uint8Array(32).fill(9),
  };
  return { registry, token, use };
}

test("is stored without its secret", async () => {
  const { registry, token } = await setUp();
  const [entry] = await registry.list("token.");
  const stored = Buffer.from(entry?.bytes ?? []).toString();
  expect(stored).toContain(token.id);
  for (const encoding of ["base64", "base64url", "hex"] as const) {
    expect(stored).not.toContain(Buffer.from(token.secret.reveal()).toString(encoding));
  }
});

test("is claimed once, and again by the same request long after", async () => {
  const { registry, use } = await setUp();
  const first = await claimToken(registry, use, now);
  expect(first.claim?.identityKey).toEqual(alice);
  expect(await claimToken(registry, use, { nowMs: NOW + 10 * HOUR, lineage: LINEAGE + 1n })).toEqual(first);
});

test("of 50 identities at once one wins", async () => {
  const { registry, use } = await setUp();
  const identities = Array.from({ length: 50 }, (_, index) => new Uint8Array(32).fill(index));
  const claims = await Promise.allSettled(
    identities.map((identityKey) => claimToken(registry, { ...use, identityKey }, now)),
  );
  expect(claims.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  for (const claim of claims) {
    if (claim.status === "rejected") expect(claim.reason).toMatchObject({ reason: "TOKEN_ALREADY_USED" });
  }
});

test("its owner may change the request until it expires", async () => {
  const { registry, use } = await setUp();
  await claimToken(registry, use, now);
  const other = { ...use, requestSha256: new Uint8Array(32).fill(8) };
  await expect(claimToken(registry, other, { ...now, nowMs: NOW + 2 * HOUR })).rejects.toMatchObject({
    reason: "TOKEN_EXPIRED",
  });
  expect((await claimToken(registry, other, now)).claim?.requestSha256).toEqual(other.requestSha256);
  await expect(claimToken(registry, { ...other, identityKey: mallory }, now)).rejects.toMatchObject({
    reason: "TOKEN_ALREADY_USED",
  });
});

test.each([
  { name: "an unknown id", change: { id: "0000000000000000" }, reason: "TOKEN_UNKNOWN" },
  { name: "a wrong secret", change: { secret: new Uint8Array(32) }, reason: "TOKEN_UNKNOWN" },
  { name: "no secret", change: { secret: new Uint8Array() }, reason: "TOKEN_UNKNOWN" },
  { name: "another cluster", change: { clusterId: "us" }, reason: "TOKEN_WRONG_CLUSTER" },
  { name: "another ordinal", change: { ordinal: 1 }, reason: "TOKEN_WRONG_ORDINAL" },
  { name: "after its time", change: {}, at: { nowMs: NOW + HOUR + 1 }, reason: "TOKEN_EXPIRED" },
  { name: "a store made anew", change: {}, at: { lineage: LINEAGE + 1n }, reason: "TOKEN_REVOKED" },
])("refuses $name", async ({ change, at, reason }) => {
  const { registry, use } = await setUp({ ordinal: 0 });
  await expect(claimToken(registry, { ...use, ...change }, { ...now, ...at })).rejects.toMatchObject({ reason });
  await expect(claimToken(registry, use, now)).resolves.toMatchObject({ ordinal: 0 });
});

test("an unknown id and a wrong secret are told apart by nobody", async () => {
  const { registry, use } = await setUp();
  const answerTo = (change: object) => claimToken(registry, { ...use, ...change }, now).catch((error: Error) => error);
  expect(await answerTo({ id: "0000000000000000" })).toEqual(await answerTo({ secret: new Uint8Array(32) }));
});

test("a revoked one is refused also to who claimed it", async () => {
  const { registry, use } = await setUp();
  await claimToken(registry, use, now);
  const revoked = await revokeToken(registry, use.id, NOW);
  expect(await revokeToken(registry, use.id, NOW + 1)).toEqual(revoked);
  await expect(claimToken(registry, use, now)).rejects.toMatchObject({ reason: "TOKEN_REVOKED" });
  await expect(revokeToken(registry, "0000000000000000", NOW)).rejects.toMatchObject({ reason: "TOKEN_NOT_FOUND" });
});

test("a revoked cluster takes its unused tokens along", async () => {
  const { registry, use } = await setUp();
  await claimToken(registry, use, now);
  const made = { ttlMs: HOUR, ordinal: undefined };
  const other = await createToken(registry, { ...made, clusterId: "us" }, { ...now, frame, randomBytes });
  const unused = await createToken(registry, { ...made, clusterId: "eu" }, { ...now, frame, randomBytes });
  await revokeUnusedTokens(registry, "eu", NOW);
  const states = new Map((await listTokens(registry)).map((token) => [token.id, tokenState(token, now)]));
  expect(Object.fromEntries(states)).toEqual({
    [use.id]: "claimed",
    [other.record.id]: "unused",
    [unused.record.id]: "revoked",
  });
});

test("is swept a day after it ended", async () => {
  const { registry } = await setUp();
  expect(await sweepTokens(registry, NOW + 25 * HOUR)).toBe(0);
  expect(await sweepTokens(registry, NOW + 25 * HOUR + 1)).toBe(1);
  expect(await listTokens(registry)).toEqual([]);
});
