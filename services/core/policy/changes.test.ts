import { DefaultLinks, Direction, Protocol } from "@spanwire/proto/record";
import fc from "fast-check";
import { expect, test } from "vitest";
import { listPolicyChanges } from "./changes.ts";
import { anyPolicy, party, testPolicy } from "./testing.ts";

const PARTIES = [party("eu", { role: "hub" }), party("us"), party("plant"), party("asia")];
const parties = new Map(PARTIES.map((each) => [each.id, each]));

test("pairs that change are listed by id, with what may cross before and after", () => {
  const allow = [{ direction: Direction.LEFT_TO_RIGHT, protocol: Protocol.TCP, ports: [{ first: 443, last: 443 }] }];
  const after = testPolicy([
    { name: "shop", left: { clusters: ["us"] }, right: { clusters: ["eu"] }, allow },
    { name: "relay", left: { clusters: ["plant"] }, right: { clusters: ["asia"] }, transit: "eu" },
    { name: "hub", left: { labels: { role: "hub" } }, right: {} },
  ]);
  const before = testPolicy([], DefaultLinks.FULL_MESH);
  const changes = listPolicyChanges({ policy: before, parties }, { policy: after, parties });
  expect(
    changes.map((change) => `${change.left}~${change.right}: ${change.before} -> ${change.after}`).join("\n"),
  ).toMatchInlineSnapshot(`
    "asia~plant: linked, everything -> linked through eu, everything
    asia~us: linked, everything -> not linked
    eu~us: linked, everything -> linked: us->eu tcp 443
    plant~us: linked, everything -> not linked"
  `);
});

test("a label that moves a cluster to another link is a change as well", () => {
  const policy = testPolicy([{ name: "hub", left: { labels: { role: "hub" } }, right: {} }]);
  const moved = new Map(parties).set("us", party("us", { role: "hub" }));
  const pairs = listPolicyChanges({ policy, parties }, { policy, parties: moved }).map(
    ({ left, right }) => `${left}~${right}`,
  );
  expect(pairs).toEqual(["asia~us", "plant~us"]);
});

test("nothing changes between equal policies, and going back lists the same pairs", () => {
  fc.assert(
    fc.property(anyPolicy, anyPolicy, (before, after) => {
      const [a, b] = [
        { policy: before, parties },
        { policy: after, parties },
      ];
      expect(listPolicyChanges(a, a)).toEqual([]);
      const back = listPolicyChanges(b, a).map((change) => ({ ...change, before: change.after, after: change.before }));
      expect(listPolicyChanges(a, b)).toEqual(back);
    }),
  );
});
