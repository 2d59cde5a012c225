import fc from "fast-check";
import { expect, test } from "vitest";
import { anyMesh, anyStep, take } from "./any-mesh.ts";
import { createCompiler } from "./compile.ts";
import { conditionsOf, flatten } from "./desired.ts";
import { compileOnce, type TestCluster, testLocal, testMap } from "./testing.ts";

const SELF: TestCluster = { id: "c0", block: 0, prefixes: ["10.0.0.0/24"], labels: { role: "hub" } };

test("compiling in steps gives what compiling from scratch gives, and names every fragment that is another object", () => {
  fc.assert(
    fc.property(anyMesh, fc.array(anyStep, { maxLength: 8 }), fc.boolean(), (mesh, steps, isHinted) => {
      const map = testMap({ ...mesh, clusters: [...mesh.clusters.filter(({ id }) => id !== "c0"), SELF] });
      const local = testLocal(map, "c0", 0, {
        ipv6: "routed",
        connected: [{ device: "lan", network: "10.3.0.0/24" }],
        snat: ["192.168.0.0/24"],
      });
      const seen = { liveness: new Map(), pairs: new Map() };
      const compiler = createCompiler();
      let before = compiler.compile({ view: map, local, ...seen });
      let fragments = new Map(before?.desired.clusters);
      for (const step of steps) {
        const hint = take(step, map, seen);
        const after = compiler.compile({ view: map, local, ...seen }, isHinted ? hint : "all");
        const scratch = compileOnce(map, local, seen.liveness, seen.pairs);
        if (after === undefined || before === undefined) throw new Error("nothing compiled");
        expect(flatten(after.desired)).toEqual(flatten(scratch.desired));
        expect(conditionsOf(after.desired)).toEqual(conditionsOf(scratch.desired));
        const ids = [...new Set([...fragments.keys(), ...after.desired.clusters.keys()])];
        const others = ids.filter((id) => fragments.get(id) !== after.desired.clusters.get(id));
        expect([...after.changed].sort()).toEqual(others.sort());
        expect(after.baseChanged).toBe(before.desired.base !== after.desired.base);
        fragments = new Map(after.desired.clusters);
        before = after;
      }
    }),
    { numRuns: 300 },
  );
});
