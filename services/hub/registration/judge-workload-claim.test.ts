import { expect, test } from "vitest";
import { judgeWorkloadClaim, type WorkloadClaim } from "./judge-workload-claim.ts";

const [ours, theirs] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];
const claim: WorkloadClaim = { instance: "u-1", identityKey: ours, issuedAtS: 1_000 };
const revoked = { ...claim, revokedAtMs: 1 };
const shown = { instance: "u-1", identityKey: ours, issuedAtS: 1_000 };

test.each([
  { name: "the first", claim: undefined, more: {}, want: "claim" },
  { name: "the same again", claim, more: { issuedAtS: 2_000 }, want: "claimed" },
  { name: "the same by an older token", claim, more: { issuedAtS: 900 }, want: "claimed" },
  { name: "another identity", claim, more: { identityKey: theirs }, want: "WORKLOAD_ALREADY_JOINED" },
  { name: "a younger instance", claim, more: { instance: "u-2", issuedAtS: 1_001 }, want: "claim" },
  { name: "an instance of the same second", claim, more: { instance: "u-2" }, want: "claim" },
  { name: "an older instance", claim, more: { instance: "u-0", issuedAtS: 999 }, want: "WORKLOAD_SUPERSEDED" },
  { name: "the revoked one", claim: revoked, more: {}, want: "WORKLOAD_REVOKED" },
  {
    name: "the revoked one by another identity",
    claim: revoked,
    more: { identityKey: theirs },
    want: "WORKLOAD_REVOKED",
  },
  { name: "one after the revoked one", claim: revoked, more: { instance: "u-2", issuedAtS: 1_001 }, want: "claim" },
  {
    name: "one before the revoked one",
    claim: revoked,
    more: { instance: "u-0", issuedAtS: 1 },
    want: "WORKLOAD_SUPERSEDED",
  },
])("$name: $want", ({ claim: before, more, want }) => {
  const verdict = judgeWorkloadClaim(before, { ...shown, ...more }, "eu.0");
  expect(verdict.kind === "refused" ? verdict.reason : verdict.kind).toBe(want);
});
