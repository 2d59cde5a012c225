import { kubernetesRule } from "@spanwire/core/identity/workload-rule";
import { expect, test } from "vitest";
import { decodeInvite, encodeInvite, type InviteRecord } from "./invite-record.ts";

const rule = kubernetesRule("spanwire", "gateway");
const base = { clusterId: "eu", audience: "spanwire-hub", rule, createdAtMs: 1, lineage: 2n ** 63n };

test.each<{ name: string; invite: InviteRecord }>([
  { name: "given keys", invite: { ...base, source: { kind: "given", jwks: "{}" }, issuer: "https://a" } },
  { name: "published keys, any CA", invite: { ...base, source: { kind: "published", url: "https://a" } } },
  {
    name: "published keys, a CA, one ordinal",
    invite: {
      ...base,
      source: { kind: "published", url: "https://a", caPem: "pem" },
      rule: { ...rule, claims: { "/a": "b" }, ordinal: { fixed: 1 } },
    },
  },
])("is read as it was written: $name", ({ invite }) => {
  expect(decodeInvite("invite.eu", encodeInvite(invite))).toEqual(invite);
});

test.each(["", "{}", "[]", '{"clusterId":"eu"}'])("what was not written so is corrupt: %s", (stored) => {
  expect(() => decodeInvite("invite.eu", Buffer.from(stored))).toThrow(expect.objectContaining({ code: "corrupt" }));
});
