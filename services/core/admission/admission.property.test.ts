import fc from "fast-check";
import { expect, test } from "vitest";
import { overlaps, parseCidr } from "../address/cidr.ts";
import { gatewayKey } from "../records/key.ts";
import { compareOrders, type Order } from "../records/order.ts";
import { admit } from "./admit.ts";
import { deleteCluster, revokeCluster, revokeGateway } from "./revoke.ts";
import { type TestRegistry, testJoin, testRegistry } from "./testing.ts";
import { updateCluster } from "./update.ts";

const anyId = fc.constantFrom("a", "b", "c");
const anyPrefixes = fc.oneof(
  fc.constant([]), // what a later gateway says
  fc.subarray(["10.0.0.0/16", "10.0.4.0/24", "10.1.0.0/16", "fd00:1::/32", "0.0.0.0/0"], { maxLength: 2 }),
);
const anyOrdinal = fc.nat(2);
const maybeOrdinal = fc.option(anyOrdinal, { nil: undefined });

/** Asks for one thing; what is admitted is written. */
type Ask = (registry: TestRegistry) => void;

const anyJoin: fc.Arbitrary<Ask> = fc
  .tuple(anyId, fc.integer({ min: 1, max: 6 }), anyPrefixes, maybeOrdinal, maybeOrdinal)
  .map(([id, identity, prefixes, ordinal, tokenOrdinal]) => (registry) => {
    const request = testJoin(id, {
      identity,
      prefixes,
      ...(ordinal !== undefined && { ordinal }),
      ...(tokenOrdinal !== undefined && { tokenOrdinal }),
    });
    const decision = admit(registry, request);
    if (!decision.ok) return;
    registry.write(decision);
    const again = admit(registry, request);
    expect(again).toMatchObject({
      ordinal: decision.ordinal,
      gatewayIncarnation: decision.gatewayIncarnation,
      changed: false,
    });
  });
const anyUpdate: fc.Arbitrary<Ask> = fc.tuple(anyId, anyPrefixes).map(([clusterId, prefixes]) => (registry) => {
  const decision = updateCluster(registry, { clusterId, prefixes, labels: {}, expectedGeneration: undefined });
  if (decision.ok) registry.write(decision);
});
const anyEnding: fc.Arbitrary<Ask> = fc
  .tuple(anyId, fc.oneof(fc.constantFrom(revokeCluster, deleteCluster), anyOrdinal))
  .map(([id, end]) => (registry) => {
    const ending = typeof end === "number" ? revokeGateway(registry, id, end) : end(registry, id);
    if (ending.ok) registry.write(ending);
  });
const anyStatement: fc.Arbitrary<Ask> = fc.tuple(anyId, anyOrdinal).map(([id, ordinal]) => (registry) => {
  const gateway = registry.admissions.get(id)?.gateways.find((each) => each.ordinal === ordinal);
  if (gateway === undefined) return;
  const held = registry.orderOf(gatewayKey(id, ordinal));
  const generation = held?.incarnation === gateway.incarnation ? held.generation + 1n : 1n;
  registry.say(id, ordinal, { generation });
});

test("whatever is asked: nothing overlaps, nothing is owned twice, and orders only grow", () => {
  const asks = fc.array(fc.oneof({ weight: 4, arbitrary: anyJoin }, anyUpdate, anyEnding, anyStatement), {
    maxLength: 25,
  });
  fc.assert(
    fc.property(asks, (all) => {
      const registry = testRegistry({ maxGateways: 3 });
      const identities = new Map<string, Order & { readonly nkey: string }>();
      for (const ask of all) {
        ask(registry); // `write` throws for an order that does not grow
        expectNothingSharedIn(registry);
        for (const { clusterId, gateways } of registry.admissions.values()) {
          for (const { ordinal, incarnation, nkey, identityKey } of gateways) {
            const name = `${clusterId}.${ordinal}`;
            const before = identities.get(name);
            const order = { incarnation, generation: BigInt(identityKey[0] ?? 0), nkey };
            // Another identity of an ordinal has a higher incarnation; the same one keeps it.
            if (before !== undefined && before.nkey !== nkey) expect(incarnation).toBeGreaterThan(before.incarnation);
            if (before !== undefined)
              expect(compareOrders(order, { ...before, generation: 0n })).toBeGreaterThanOrEqual(0);
            identities.set(name, order);
          }
        }
      }
    }),
    { numRuns: 500 },
  );
});

function expectNothingSharedIn({ admissions }: TestRegistry): void {
  const all = [...admissions.values()];
  const prefixes = all.flatMap((admission) => admission.prefixes).map(parseCidr);
  expect(prefixes.filter((a, i) => prefixes.slice(i + 1).some((b) => overlaps(a, b)))).toEqual([]);
  const gateways = all.flatMap((admission) => admission.gateways);
  for (const owned of [
    all.map(({ overlayIndex }) => overlayIndex),
    gateways.map(({ nkey }) => nkey),
    gateways.map(({ identityKey }) => String(identityKey)),
  ]) {
    expect(new Set<unknown>(owned).size).toBe(owned.length);
  }
  for (const { gateways } of all) expect(new Set(gateways.map(({ ordinal }) => ordinal)).size).toBe(gateways.length);
}
