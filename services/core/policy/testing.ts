/** @module Policies and parties for tests. */
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import {
  DefaultLinks,
  Direction,
  type LinkPolicy,
  LinkPolicySchema,
  type LinkSchema,
  Protocol,
} from "@spanwire/proto/record";
import fc from "fast-check";
import type { Party } from "./pair.ts";

type LinkInit = MessageInitShape<typeof LinkSchema>;

export function testPolicy(links: readonly LinkInit[], defaultLinks: DefaultLinks = DefaultLinks.NONE): LinkPolicy {
  return create(LinkPolicySchema, { defaultLinks, links: [...links] });
}

export function party(id: string, labels: Readonly<Record<string, string>> = {}): Party {
  return { id, labels };
}

const anyId = fc.constantFrom("eu", "us", "plant");
const anySelector = fc.record({
  clusters: fc.uniqueArray(anyId, { maxLength: 2 }),
  labels: fc.oneof(fc.constant({}), fc.record({ role: fc.constantFrom("hub", "spoke") })),
});
const anyPorts = fc.array(
  fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.nat(9)).map(([first, more]) => {
    return { first, last: Math.min(65_535, first + more) };
  }),
  { maxLength: 2 },
);
const anyAllow = fc
  .record({
    direction: fc.constantFrom(Direction.BOTH, Direction.LEFT_TO_RIGHT, Direction.RIGHT_TO_LEFT),
    protocol: fc.constantFrom(Protocol.ANY, Protocol.TCP, Protocol.UDP, Protocol.ICMP),
    ports: anyPorts,
    sources: fc.subarray(["10.1.0.0/16", "fd01::/48"]),
    destinations: fc.subarray(["10.2.0.0/16"]),
  })
  .map((allow) => ({ ...allow, ports: allow.protocol === Protocol.TCP ? allow.ports : [] }));

/** Links of few clusters, so that many match a pair. */
export const anyPolicy: fc.Arbitrary<LinkPolicy> = fc
  .tuple(
    fc.array(
      fc.record({
        left: anySelector,
        right: anySelector,
        allow: fc.array(anyAllow, { maxLength: 2 }),
        transit: fc.constantFrom("", "plant"),
        deny: fc.boolean(),
      }),
      { maxLength: 4 },
    ),
    fc.constantFrom(DefaultLinks.FULL_MESH, DefaultLinks.NONE),
  )
  .map(([links, fallback]) =>
    testPolicy(
      links.map((link, index) => ({ ...link, name: `link-${index}` })),
      fallback,
    ),
  );

export const anyParty: fc.Arbitrary<Party> = fc.record({
  id: anyId,
  labels: fc.oneof(fc.constant({}), fc.record({ role: fc.constantFrom("hub", "spoke") })),
});
