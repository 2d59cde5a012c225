import { Secret } from "@spanwire/core/identity/secret";
import { expect, test } from "vitest";
import { encodeAccountJwt, encodeOperatorJwt, encodeUserJwt } from "./nats-claims.ts";
import { decodeNatsJwt } from "./nats-jwt.ts";
import { createNkeyPair } from "./nkey.ts";
import { createVerify } from "./verify.ts";

const verify = createVerify();
const seed = (n: number) => new Secret(new Uint8Array(32).fill(n));
const operator = createNkeyPair("operator", seed(1));
const account = createNkeyPair("account", seed(2));
const user = createNkeyPair("user", seed(3));
const nowMs = 1_800_000_000_999;

test("user token: subjects as allow-lists, sorted; times in whole seconds", () => {
  const token = encodeUserJwt(
    {
      subject: user.publicKey,
      name: "eu/0",
      nowMs,
      expiresAtMs: nowMs + 60_000,
      permissions: { publish: ["b", "a"], subscribe: ["c"], responses: { maxMessages: 1, ttlMs: 5 } },
      issuerAccount: account.publicKey,
      limits: { subscriptions: 10 },
    },
    account,
  );
  const { jti, ...claims } = decodeNatsJwt(token, verify);
  expect(jti).toMatch(/^[A-Z2-7]{52}$/);
  expect(claims).toMatchInlineSnapshot(`
    {
      "exp": 1800000060,
      "iat": 1800000000,
      "iss": "ACATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZIL2R",
      "name": "eu/0",
      "nats": {
        "data": -1,
        "issuer_account": "ACATS5YOVB6ROX2WUNKGNQ2MP3GMXDMKSG2O4N5CLX3A6W4PZGZZIL2R",
        "payload": -1,
        "pub": {
          "allow": [
            "a",
            "b",
          ],
        },
        "resp": {
          "max": 1,
          "ttl": 5000000,
        },
        "sub": {
          "allow": [
            "c",
          ],
        },
        "subs": 10,
        "type": "user",
        "version": 2,
      },
      "sub": "UDWUSKGGFDI4FRXK5EBTRECZSVQSSWJHHJOGH6JWG3AUMFFMQ435C2U4",
    }
  `);
});

test("an empty allow-list allows nothing", () => {
  const permissions = { publish: [], subscribe: [] };
  const token = encodeUserJwt({ subject: user.publicKey, name: "mute", nowMs, permissions }, account);
  expect(decodeNatsJwt(token, verify).nats).toMatchObject({ pub: { deny: [">"] }, sub: { deny: [">"] } });
});

test("account token: limits, revocations, default permissions", () => {
  const token = encodeAccountJwt(
    {
      subject: account.publicKey,
      name: "mesh",
      nowMs,
      signingKeys: [createNkeyPair("account", seed(4)).publicKey],
      revocations: new Map([[user.publicKey, nowMs]]),
      defaultPermissions: { publish: [], subscribe: ["sw.v1.map.>"] },
      jetStream: "unlimited",
      limits: { connections: 100 },
    },
    operator,
  );
  expect(decodeNatsJwt(token, verify).nats).toMatchInlineSnapshot(`
    {
      "default_permissions": {
        "pub": {
          "deny": [
            ">",
          ],
        },
        "sub": {
          "allow": [
            "sw.v1.map.>",
          ],
        },
      },
      "limits": {
        "conn": 100,
        "consumer": -1,
        "data": -1,
        "disk_storage": -1,
        "exports": -1,
        "imports": -1,
        "leaf": -1,
        "mem_storage": -1,
        "payload": -1,
        "streams": -1,
        "subs": -1,
        "wildcards": true,
      },
      "revocations": {
        "UDWUSKGGFDI4FRXK5EBTRECZSVQSSWJHHJOGH6JWG3AUMFFMQ435C2U4": 1800000000,
      },
      "signing_keys": [
        "ADFJHLAXAUMHA4OWPOB4P7YO72AQR2HMIUYFOXLXE2DZGM633K7HZVXK",
      ],
      "type": "account",
      "version": 2,
    }
  `);
});

test("operator token: signs itself and names the system account", () => {
  const token = encodeOperatorJwt(
    { subject: operator.publicKey, name: "spanwire", nowMs, systemAccount: account.publicKey },
    operator,
  );
  const claims = decodeNatsJwt(token, verify);
  expect(claims.iss).toBe(claims.sub);
  expect(claims.nats).toEqual({ type: "operator", version: 2, system_account: account.publicKey });
});

test("same claims, same token", () => {
  const options = { subject: account.publicKey, name: "mesh", nowMs };
  expect(encodeAccountJwt(options, operator)).toBe(encodeAccountJwt(options, operator));
});

test.each([
  { name: "a user signed by an operator", make: () => encodeUserJwt(userOptions(user.publicKey), operator) },
  { name: "a user token for an account", make: () => encodeUserJwt(userOptions(account.publicKey), account) },
])("refuses to issue $name", ({ make }) => {
  expect(make).toThrow("is not the key of an");
});

function userOptions(subject: string) {
  return { subject, name: "x", nowMs, permissions: { publish: [], subscribe: [] } };
}
