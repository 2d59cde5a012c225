import { FleetService } from "@spanwire/proto/fleet";
import type { CallContext } from "@spanwire/runtime/grpc/context";
import { describe, expect, test } from "vitest";
import { authorizeOperators, PERMISSION_OF, permissionsOf } from "./authorize.ts";

const withName = (spiffeId: string | undefined) => ({ spiffeId, der: new Uint8Array() });

test("every method has an entry, and every entry a method", () => {
  expect(Object.keys(PERMISSION_OF).sort()).toEqual(FleetService.methods.map(({ localName }) => localName).sort());
});

test.each([
  { who: "an operator", certificate: withName("spiffe://m/operator/admin"), count: 3 },
  { who: "an operator of another mesh", certificate: withName("spiffe://other/operator/admin"), count: 0 },
  { who: "a gateway", certificate: withName("spiffe://m/cluster/eu/gateway/0"), count: 0 },
  { who: "a cluster named operator", certificate: withName("spiffe://m/cluster/operator/gateway/0"), count: 0 },
  { who: "a certificate without a name", certificate: withName(undefined), count: 0 },
  { who: "a name that is almost one", certificate: withName("spiffe://m/operator/admin/x"), count: 0 },
  { who: "nobody", certificate: undefined, count: 0 },
])("$who has $count permissions", ({ certificate, count }) => {
  expect(permissionsOf(certificate, "m").size).toBe(count);
});

describe.each(FleetService.methods.map((method) => ({ name: method.name, method })))("$name", ({ method }) => {
  const call = (spiffeId: string) => {
    const peer = { address: "", certificate: withName(spiffeId) };
    const context = { peer } as CallContext;
    return authorizeOperators("m")({ method, context }, async () => {});
  };
  test("is for operators only", async () => {
    await expect(call("spiffe://m/cluster/eu/gateway/0")).rejects.toMatchObject({ reason: "OPERATOR_REQUIRED" });
    await expect(call("spiffe://m/operator/admin")).resolves.toBeUndefined();
  });
});
