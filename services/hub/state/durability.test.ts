import { expect, test } from "vitest";
import { describeDurability, requireDurability, type StoreFacts } from "./durability.ts";

const servers = ["n0", "n1", "n2"];
const bucket = (name: string, holders = servers) => ({ bucket: name, servers: holders });
const always = (...names: string[]) => new Map(names.map((name) => [name, true]));
const conditionsOf = (facts: StoreFacts) => describeDurability(facts).map(({ type, subject }) => `${type} ${subject}`);

test.each([
  { name: "three that sync", buckets: [bucket("m")], syncsAlways: always(...servers), want: [] },
  { name: "one that is silent", buckets: [bucket("m")], syncsAlways: always("n0", "n2"), want: ["n1"] },
  { name: "all silent", buckets: [bucket("m"), bucket("r")], syncsAlways: new Map(), want: servers },
])("$name is accepted: not verified are $want", ({ buckets, syncsAlways, want }) => {
  requireDurability({ buckets, syncsAlways });
  expect(conditionsOf({ buckets, syncsAlways })).toEqual(want.map((name) => `DurabilityNotVerified ${name}`));
});

test.each([
  {
    name: "one copy",
    facts: { buckets: [bucket("m"), bucket("r", ["n0"])], syncsAlways: always(...servers) },
    want: "needs 3 copies of each bucket, r has 1: set nats.replicas to 3 on a NATS cluster",
    condition: "NotDurable r",
  },
  {
    name: "a server with the default",
    facts: { buckets: [bucket("m")], syncsAlways: new Map([...always("n0", "n2"), ["n1", false]]) },
    want: "needs sync_interval: always in the jetstream block of every server, not so on n1",
    condition: "NotDurable n1",
  },
])("$name is refused, and told of a store that has become so", ({ facts, want, condition }) => {
  expect(() => requireDurability(facts)).toThrow(`profile production: ${want}`);
  expect(conditionsOf(facts)).toEqual([condition]);
  expect(describeDurability(facts)[0]?.message).toBe(`acknowledged changes may be lost: ${want}`);
});

test("a server that holds no copy may write as it likes", () => {
  const syncsAlways = new Map([...always(...servers), ["n3", false] as const]);
  const facts = { buckets: [bucket("m")], syncsAlways };
  requireDurability(facts);
  expect(conditionsOf(facts)).toEqual([]);
});
