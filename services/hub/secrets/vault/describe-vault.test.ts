import { SpanwireError } from "@spanwire/core/errors";
import { expect, test } from "vitest";
import { describeVault, type VaultFacts } from "./describe-vault.ts";

const SINCE = Date.UTC(2026, 10, 21, 12);
const error = new SpanwireError("unavailable", "secret store at https://bao: it is sealed");
const refused = new SpanwireError("denied", 'needs a policy that allows update on "pki/sign/x"');
const outage = { sinceMs: SINCE, error };
const well: VaultFacts = { address: "https://bao", outage: undefined, waiting: [], key: undefined };
const key = { name: "root", latestVersion: 3, signingVersion: 1, lowestSigning: 0, publicKeys: new Map() };

test.each([
  { name: "all well", facts: {}, want: [] },
  {
    name: "away, and nobody has asked",
    facts: { outage },
    want: [
      "SecretStoreAway https://bao: secret store at https://bao: it is sealed; since 2026-11-21T12:00:00.000Z; waiting: nothing so far",
    ],
  },
  {
    name: "away, and asked in vain",
    facts: {
      outage,
      waiting: [
        { purpose: "certificates for gateways", sinceMs: SINCE, times: 2, error },
        { purpose: "signatures of the root authority", sinceMs: SINCE, times: 1, error },
      ],
    },
    want: [
      "SecretStoreAway https://bao: secret store at https://bao: it is sealed; since 2026-11-21T12:00:00.000Z; waiting: certificates for gateways (asked for 2x), signatures of the root authority (asked for 1x)",
    ],
  },
  {
    name: "there, and refuses one thing",
    facts: { waiting: [{ purpose: "certificates for gateways", sinceMs: SINCE, times: 9, error: refused }] },
    want: [
      'SignatureWaits certificates for gateways: certificates for gateways wait since 2026-11-21T12:00:00.000Z: needs a policy that allows update on "pki/sign/x"',
    ],
  },
  {
    name: "key rotated",
    facts: { key },
    want: [
      'SigningKeyRotated root: transit key "root" was rotated to version 3; the mesh goes on with version 1, which its agents have pinned: keep that version',
    ],
  },
  { name: "key as it was", facts: { key: { ...key, latestVersion: 1 } }, want: [] },
])("$name", ({ facts, want }) => {
  const lines = describeVault({ ...well, ...facts }).map(
    ({ type, subject, message }) => `${type} ${subject}: ${message}`,
  );
  expect(lines).toEqual(want);
});
