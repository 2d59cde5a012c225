import { SpanwireError } from "@spanwire/core/errors";
import { MESH_ID } from "@spanwire/core/records/testing";
import { FleetService } from "@spanwire/proto/fleet";
import type { CallContext } from "@spanwire/runtime/grpc/context";
import { InvalidRequest } from "@spanwire/runtime/grpc/invalid-request";
import { expect, test } from "vitest";
import { refusal } from "../refusal.ts";
import { createAuditedCalls } from "./audited-calls.ts";
import type { Recorded } from "./recorder.ts";

const method = FleetService.method.updateCluster;

function callBy(spiffeId: string | undefined) {
  const certificate = { spiffeId, der: new Uint8Array() };
  return { peer: { address: "192.0.2.1:5000", certificate } } as CallContext;
}

function open() {
  const recorded: Recorded[] = [];
  const calls = createAuditedCalls({ record: (each) => recorded.push(each), meshId: MESH_ID });
  const refuse = async (context: CallContext, error: unknown) => {
    await expect(calls.interceptor({ method, context, end: () => {} }, () => Promise.reject(error))).rejects.toBe(
      error,
    );
  };
  return { recorded, calls, refuse };
}

test.each([
  { spiffeId: `spiffe://${MESH_ID}/operator/viewer/vera`, actor: { kind: "operator", name: "vera", role: "viewer" } },
  { spiffeId: `spiffe://${MESH_ID}/cluster/eu/gateway/1`, actor: { kind: "gateway", name: "eu/1" } },
  { spiffeId: "spiffe://another/operator/admin/vera", actor: { kind: "nobody" } },
  { spiffeId: undefined, actor: { kind: "nobody" } },
])("a refusal of $spiffeId is by $actor.kind, with reason, sentence and address", async ({ spiffeId, actor }) => {
  const { recorded, refuse } = open();
  await refuse(callBy(spiffeId), refusal("ROLE_REQUIRED", "too small"));
  const said = { action: "UpdateCluster", refusal: "ROLE_REQUIRED", message: "too small", address: "192.0.2.1:5000" };
  expect(recorded).toEqual([{ ...said, actor }]);
});

test.each([
  { name: "a request that breaks the contract", error: new InvalidRequest("x", []), written: 1 },
  { name: "too many calls", error: refusal("RATE_LIMITED", "x"), written: 1 },
  { name: "a store that is away", error: refusal("STORE_AWAY", "x"), written: 0 },
  { name: "others that were faster", error: refusal("BUSY", "x"), written: 0 },
  { name: "a caller that went away", error: new SpanwireError("unavailable", "x"), written: 0 },
  { name: "a fault of ours", error: new TypeError("x"), written: 0 },
])("$name: $written entries", async ({ error, written }) => {
  const { recorded, refuse } = open();
  await refuse(callBy(undefined), error);
  expect(recorded).toHaveLength(written);
});

test("what a handler has learnt of a call stands in its changes and in its refusal, and in no other call's", async () => {
  const { recorded, calls, refuse } = open();
  const [context, other] = [callBy(undefined), callBy(undefined)];
  calls.of(context).about({ tokenId: "t" });
  calls.of(context).about({ actor: { kind: "gateway", name: "eu/0" } });
  calls.of(context).changed({ action: "gateway.register", target: "gateway.eu.0" });
  await refuse(context, refusal("BAD_PROOF", "x"));
  await refuse(other, refusal("BAD_PROOF", "x"));
  const known = { tokenId: "t", actor: { kind: "gateway", name: "eu/0" }, address: "192.0.2.1:5000" };
  expect(recorded).toMatchObject([
    { ...known, action: "gateway.register", target: "gateway.eu.0" },
    { ...known, action: "UpdateCluster", refusal: "BAD_PROOF" },
    { actor: { kind: "nobody" } },
  ]);
  expect(recorded[2]?.tokenId).toBeUndefined();
});
