import { SpanwireError } from "@spanwire/core/errors";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { beforeEach, expect, test } from "vitest";
import { createKeyRing, type KeyRing } from "./issuer-keys.ts";
import { AUDIENCE, createTestIssuer, ISSUER, podClaims, type TestIssuer } from "./testing.ts";
import { verifyToken } from "./verify-token.ts";

const START_MS = 1_790_000_000_000;
const source = { kind: "published", url: "https://issuer.example/eu", caPem: undefined } as const;

let clock: FakeClock;
let ring: KeyRing;
let published: readonly TestIssuer[];
let isAway: boolean;
let asked: string[];
let failures: string[];
beforeEach(async () => {
  clock = new FakeClock(START_MS);
  published = [await createTestIssuer()];
  isAway = false;
  asked = [];
  failures = [];
  ring = createKeyRing({
    clock,
    onFailure: (owner, { message }) => failures.push(`${owner}: ${message}`),
    async fetch(url) {
      asked.push(url);
      if (isAway) throw new SpanwireError("unavailable", "away");
      if (url.endsWith("/openid-configuration"))
        return JSON.stringify({ issuer: ISSUER, jwks_uri: "https://issuer.example/keys" });
      return JSON.stringify({ keys: published.map(({ jwk }) => jwk) });
    },
  });
});

async function use(issuer: TestIssuer | undefined, owner = "cluster eu"): Promise<string> {
  const claims = podClaims({ name: "gateway-0", uid: "u-1" }, clock.now());
  const rules = { owner, source, audience: AUDIENCE, issuer: undefined, nowMs: clock.now() };
  const token = await issuer?.sign(claims);
  return verifyToken(ring, token ?? "", rules).then(
    () => "good",
    (error: SpanwireError) => error.reason,
  );
}

test("asks for discovery and keys once, whoever comes meanwhile, and keeps them", async () => {
  expect(await Promise.all([use(published[0]), use(published[0]), use(published[0])])).toEqual([
    "good",
    "good",
    "good",
  ]);
  expect(await use(published[0])).toBe("good");
  expect(asked).toEqual(["https://issuer.example/eu/.well-known/openid-configuration", "https://issuer.example/keys"]);
});

test("a new key of the issuer is found at its first use, and the former one is good while it is published", async () => {
  const [old] = published;
  expect(await use(old)).toBe("good");
  const next = await createTestIssuer();
  published = [...published, next];
  await clock.advance(30_000);
  expect(await use(next)).toBe("good");
  expect(await use(old)).toBe("good");
  published = [next];
  await clock.advance(600_001);
  expect(await use(next)).toBe("good");
  expect(await use(old)).toBe("JWT_KEY_UNKNOWN");
});

test("forged key ids do not make the hub ask more often than every 30 s", async () => {
  await use(published[0]);
  for (let forged = 0; forged < 20; forged++) expect(await use(await createTestIssuer())).toBe("JWT_KEY_UNKNOWN");
  expect(asked).toHaveLength(2);
  await clock.advance(30_000);
  for (let forged = 0; forged < 20; forged++) await use(await createTestIssuer());
  expect(asked).toHaveLength(4);
});

test("while the issuer is away, what is known is good for an hour; then, and before the first answer, it is said", async () => {
  await use(published[0]);
  isAway = true;
  await clock.advance(3_600_000);
  expect(await use(published[0])).toBe("good");
  await clock.advance(1);
  expect(await use(published[0])).toBe("ISSUER_AWAY");
  expect(await use(published[0], "cluster us")).toBe("ISSUER_AWAY");
  expect(failures.at(-1)).toBe("cluster us: away");
  isAway = false;
  await clock.advance(30_000);
  expect(await use(published[0])).toBe("good");
});
