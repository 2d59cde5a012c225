import { base64Encode } from "@bufbuild/protobuf/wire";
import { flatten } from "@spanwire/core/desired/desired";
import { compileOnce, EU, PLANT, testLocal, testMap, US } from "@spanwire/core/desired/testing";
import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import { expect, test } from "vitest";
import { apply } from "../dataplane/apply.ts";
import { diff } from "../dataplane/diff.ts";
import { observe } from "../dataplane/observe.ts";
import { FakeKernel } from "../kernel/fake/fake-kernel.ts";
import { presentPairs, wantedPairs } from "./read-pairs.ts";

test("the kernel is read as what was wanted of it", async () => {
  const map = testMap({ clusters: [EU, US, PLANT], epoch: { active: 0n, opening: 1n } });
  const keys = [0n, 1n].map((epoch) => ({ epoch, ...generateWireGuardKey() }));
  const pairs = new Map([
    ["us.0", { build: [0n, 1n], sendOn: 1n }],
    ["us.1", { build: [0n], sendOn: 0n }],
    ["plant.0", { build: [1n], sendOn: 1n }],
  ]);
  const { desired } = compileOnce(map, testLocal(map, "eu", 0, { keys }), new Map(), pairs);
  const own = new Map([
    ["a", 0n],
    ["b", 1n],
  ] as const);
  const wanted = [...desired.clusters].flatMap(([id, fragment]) => [...wantedPairs(id, fragment, own)]);
  expect(new Map(wanted)).toEqual(pairs);

  const kernel = new FakeKernel();
  const { failures } = await apply(kernel, diff(flatten(desired), await observe(kernel)));
  expect(failures).toEqual([]);
  expect(presentPairs(map, await observe(kernel), own)).toEqual(pairs);

  // Of a plane whose key is another one by now nothing is left, and a stranger's peer is nobody's.
  const stranger = { kind: "add-peer", device: "sw-a0", publicKey: base64Encode(new Uint8Array(32).fill(9)) } as const;
  kernel.byHand({ ...stranger, keepaliveSeconds: 0, allowedIps: [] });
  const left = presentPairs(map, await observe(kernel), new Map([["b", 1n] as const]));
  expect([...left.keys()].sort()).toEqual(["plant.0", "us.0"]);
});
