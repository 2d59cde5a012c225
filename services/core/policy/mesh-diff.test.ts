import { DefaultLinks } from "@spanwire/proto/record";
import { expect, test } from "vitest";
import { type CurrentMesh, diffMesh } from "./mesh-diff.ts";
import { readMeshFile, writeMeshFile } from "./mesh-file.ts";
import { testPolicy } from "./testing.ts";

const CURRENT: CurrentMesh = {
  clusters: [
    { id: "eu", prefixes: ["10.1.0.0/16"], labels: { region: "west" } },
    { id: "plant", prefixes: ["10.3.0.0/24"], labels: {} },
    { id: "us", prefixes: ["10.2.0.0/16", "10.4.0.0/16"], labels: { role: "hub" } },
  ],
  policy: testPolicy([], DefaultLinks.FULL_MESH),
};

function diff(file: unknown) {
  const read = readMeshFile(file);
  if (!read.ok) throw new Error(JSON.stringify(read.problems));
  return diffMesh(CURRENT, read.file);
}

test("a file that says what is so changes nothing", () => {
  const nothing = { updates: [], missing: [], policy: undefined, pairs: [] };
  expect(diff(writeMeshFile(CURRENT))).toEqual(nothing);
  expect(diff({})).toEqual(nothing);
  expect(diff({ clusters: [{ id: "us" }] })).toEqual(nothing);
});

test("clusters are updated whole, who gives a prefix up first; unknown ones are named", () => {
  const clusters = [
    { id: "eu", prefixes: ["10.1.0.0/16", "10.4.0.0/16"] },
    { id: "us", prefixes: ["10.2.0.0/16"], labels: { role: "spoke", tier: "gold" } },
    { id: "asia", prefixes: ["10.5.0.0/16"] },
  ];
  expect(diff({ clusters })).toEqual({
    updates: [
      {
        id: "us",
        prefixes: ["10.2.0.0/16"],
        labels: { role: "spoke", tier: "gold" },
        differences: ["- prefix 10.4.0.0/16", "+ label role=spoke", "+ label tier=gold", "- label role=hub"],
      },
      {
        id: "eu",
        prefixes: ["10.1.0.0/16", "10.4.0.0/16"],
        labels: { region: "west" },
        differences: ["+ prefix 10.4.0.0/16"],
      },
    ],
    missing: ["asia"],
    policy: undefined,
    pairs: [],
  });
});

test("a policy is judged with the labels of the file", () => {
  const file = {
    clusters: [{ id: "plant", labels: { role: "hub" } }],
    links: { default: "none", rules: [{ name: "hub", left: { labels: { role: "hub" } }, right: {} }] },
  };
  const { policy, pairs } = diff(file);
  expect(policy?.defaultLinks).toBe(DefaultLinks.NONE);
  expect(pairs).toEqual([]);
  const { pairs: others } = diff({ links: file.links });
  expect(others).toEqual([{ left: "eu", right: "plant", before: "linked, everything", after: "not linked" }]);
});
