import { type Compiled, createCompiler } from "@spanwire/core/desired/compile";
import type { Liveness } from "@spanwire/core/desired/local-facts";
import { EU, PLANT, putCluster, testLocal, testMap, US } from "@spanwire/core/desired/testing";
import { expect, test } from "vitest";
import { Paths } from "./paths.ts";

const DOWN = { down: true };
const DRAINING = { down: false, draining: true };

/** The paths of eu.0 to us and plant, wish by wish. */
function start() {
  const map = testMap({ clusters: [EU, US, PLANT] });
  const local = testLocal(map, "eu");
  const compiler = createCompiler();
  const paths = new Paths();
  const want = (seen: Record<string, { down: boolean }>, nowMs: number): boolean => {
    const liveness: Liveness = new Map(Object.entries(seen));
    return paths.want(compiler.compile({ view: map, local, liveness }, new Set(["us", "plant"])) as Compiled, nowMs);
  };
  const said = () =>
    [...paths.all()].map(({ active, failovers, lastFailoverMs }) => [active, failovers, lastFailoverMs]);
  return { map, want, said, paths };
}

test("of a cluster with several gateways it is known who carries, and when it last had to be others", () => {
  const { want, said, paths } = start();
  expect(want({}, 1)).toBe(false);
  expect(said()).toEqual([[[0, 1], 0, undefined]]);
  expect(want({ "us.0": DOWN }, 2)).toBe(true);
  expect(said()).toEqual([[[1], 1, 2]]);
  expect(want({}, 3)).toBe(true);
  expect(said()).toEqual([[[0, 1], 1, 2]]);
  expect(want({ "us.1": DRAINING }, 4)).toBe(true);
  expect(said()).toEqual([[[0], 2, 4]]);
  expect(paths.failovers).toBe(2);
});

test("a gateway that is gone for good is no failover", () => {
  const { map, want, said } = start();
  want({}, 1);
  putCluster(map, { ...US, gateways: [{ ordinal: 1 }] });
  expect(want({}, 2)).toBe(true);
  expect(said()).toEqual([]);
});
