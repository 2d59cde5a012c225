import { DefaultLinks } from "@spanwire/proto/record";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readMeshFile, writeMeshFile } from "./mesh-file.ts";
import { anyPolicy } from "./testing.ts";

/** What YAML gives for a file that uses everything. */
const FILE = {
  clusters: [{ id: "eu", prefixes: ["10.1.0.0/16", "FD01::/48"], labels: { region: "west" } }, { id: "us" }],
  links: {
    default: "none",
    rules: [
      {
        name: "shop",
        left: { clusters: ["us"] },
        right: { labels: { region: "west" } },
        allow: [
          { direction: "left-to-right", protocol: "tcp", ports: [443, "8000-8080"], destinations: ["10.1.4.0/24"] },
          {},
        ],
      },
      { name: "relay", left: {}, right: {}, transit: "eu" },
      { name: "cut", left: { clusters: ["us"] }, right: {}, deny: true },
    ],
  },
};

function problems(value: unknown): string {
  const read = readMeshFile(value);
  return read.ok ? "" : read.problems.map(({ path, message }) => `${path}: ${message}`).join("\n");
}

test("a file becomes clusters and a policy, and is written back canonical", () => {
  const read = readMeshFile(FILE);
  if (!read.ok) throw new Error(problems(FILE));
  expect(read.file.clusters).toEqual([
    { id: "eu", prefixes: ["10.1.0.0/16", "fd01::/48"], labels: { region: "west" } },
    { id: "us", prefixes: undefined, labels: undefined },
  ]);
  expect(read.file.policy?.defaultLinks).toBe(DefaultLinks.NONE);
  expect(writeMeshFile(read.file)).toMatchInlineSnapshot(`
    {
      "clusters": [
        {
          "id": "eu",
          "labels": {
            "region": "west",
          },
          "prefixes": [
            "10.1.0.0/16",
            "fd01::/48",
          ],
        },
        {
          "id": "us",
        },
      ],
      "links": {
        "default": "none",
        "rules": [
          {
            "allow": [
              {
                "destinations": [
                  "10.1.4.0/24",
                ],
                "direction": "left-to-right",
                "ports": [
                  443,
                  "8000-8080",
                ],
                "protocol": "tcp",
              },
              {
                "direction": "both",
                "protocol": "any",
              },
            ],
            "left": {
              "clusters": [
                "us",
              ],
            },
            "name": "shop",
            "right": {
              "labels": {
                "region": "west",
              },
            },
          },
          {
            "left": {},
            "name": "relay",
            "right": {},
            "transit": "eu",
          },
          {
            "deny": true,
            "left": {
              "clusters": [
                "us",
              ],
            },
            "name": "cut",
            "right": {},
          },
        ],
      },
    }
  `);
});

test("what is left out is left alone", () => {
  for (const value of [{}, undefined, null, { clusters: null }]) {
    expect(readMeshFile(value)).toEqual({ ok: true, file: { clusters: [], policy: undefined } });
  }
});

test("a policy that is written reads back the same", () => {
  fc.assert(
    fc.property(anyPolicy, (policy) => {
      const read = readMeshFile(JSON.parse(JSON.stringify(writeMeshFile({ clusters: [], policy }))));
      expect(read).toEqual({ ok: true, file: { clusters: [], policy } });
    }),
  );
});

test("everything that is wrong is said at once, by path", () => {
  const file = {
    cluster: [],
    clusters: [
      { id: "eu", prefixes: ["10.1.0.1/16", 7], labels: ["x"], zone: "a" },
      { prefixes: "10.2.0.0/16" },
      { id: "eu", labels: { tier: 3 } },
      "us",
    ],
    links: {
      default: "all",
      rules: [
        { name: "a", left: {}, deny: "yes" },
        {
          name: "a",
          left: { clusters: "eu" },
          right: {},
          allow: [{ protocol: "sctp", ports: [0, "80-79", "x"], direction: "up" }],
        },
        7,
      ],
    },
  };
  expect(problems(file)).toMatchInlineSnapshot(`
    "cluster: is not known here; known are clusters, links
    clusters[0].zone: is not known here; known are id, prefixes, labels
    clusters[0].prefixes[0]: "10.1.0.1/16" has host bits set: the prefix is 10.1.0.0/16
    clusters[0].prefixes[1]: must be text, not 7
    clusters[0].labels: must be a mapping, not a list
    clusters[1].id: is missing
    clusters[1].prefixes: must be a list, not "10.2.0.0/16"
    clusters[2].labels.tier: must be text, not 3
    clusters[3]: must be a mapping, not "us"
    clusters[3].id: is missing
    links.default: must be full-mesh or none, not "all"
    links.rules[0].right: is missing: {} selects every cluster
    links.rules[0].deny: must be true or false, not "yes"
    links.rules[1].left.clusters: must be a list, not "eu"
    links.rules[1].allow[0].direction: must be both or left-to-right or right-to-left, not "up"
    links.rules[1].allow[0].protocol: must be any or tcp or udp or icmp, not "sctp"
    links.rules[1].allow[0].ports[0]: must be a port or a range like 8000-8080, not 0
    links.rules[1].allow[0].ports[1]: must be a port or a range like 8000-8080, not "80-79"
    links.rules[1].allow[0].ports[2]: must be a port or a range like 8000-8080, not "x"
    links.rules[2]: must be a mapping, not 7
    links.rules[2].name: is missing
    links.rules[2].left: is missing: {} selects every cluster
    links.rules[2].right: is missing: {} selects every cluster
    clusters[2].id: "eu" is at clusters[0] already
    links.rules[1].name: "a" is at links.rules[0] already"
  `);
});

test.each(["text", [], 7])("a file that holds %j is refused", (value) => {
  expect(problems(value)).toMatch(/^: must be a mapping, not /);
});

test("any data is read or refused with reasons, and never throws", () => {
  const keys = fc.constantFrom(
    "clusters",
    "links",
    "id",
    "prefixes",
    "rules",
    "left",
    "allow",
    "ports",
    "__proto__",
    "x",
  );
  const { tree } = fc.letrec((tie) => ({
    tree: fc.oneof(
      { depthSize: "small" },
      fc.jsonValue(),
      fc.array(tie("tree"), { maxLength: 3 }),
      fc.dictionary(keys, tie("tree"), { maxKeys: 4 }),
    ),
  }));
  fc.assert(
    fc.property(tree, (value) => {
      const read = readMeshFile(value);
      if (!read.ok) expect(read.problems.length).toBeGreaterThan(0);
    }),
  );
});
