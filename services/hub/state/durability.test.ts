import { expect, test } from "vitest";
import { requireDurability } from "./durability.ts";

const servers = ["n0", "n1", "n2"];
const bucket = (name: string, holders = servers) => ({ bucket: name, servers: holders });
const always = (...names: string[]) => new Map(names.map((name) => [name, true]));

test.each([
  { name: "three that sync", buckets: [bucket("m")], syncsAlways: always(...servers), want: [] },
  { name: "one that is silent", buckets: [bucket("m")], syncsAlways: always("n0", "n2"), want: ["n1"] },
  { name: "all silent", buckets: [bucket("m"), bucket("r")], syncsAlways: new Map(), want: servers },
])("$name: not verified are $want", ({ buckets, syncsAlways, want }) => {
  expect(requireDurability({ buckets, syncsAlways })).toEqual(want);
});

test.each([
  {
    name: "one copy",
    facts: { buckets: [bucket("m"), bucket("r", ["n0"])], syncsAlways: always(...servers) },
    want: "profile production: needs 3 copies of each bucket, r has 1: set nats.replicas to 3 on a NATS cluster",
  },
  {
    name: "a server with the default",
    facts: { buckets: [bucket("m")], syncsAlways: new Map([["n1", false]]) },
    want: "sync_interval: always in the jetstream block of every server, not so on n1",
  },
])("refuses $name", ({ facts, want }) => {
  expect(() => requireDurability(facts)).toThrow(want);
});

test("a server that holds no copy may write as it likes", () => {
  const syncsAlways = new Map([...always(...servers), ["n3", false] as const]);
  expect(requireDurability({ buckets: [bucket("m")], syncsAlways })).toEqual([]);
});
