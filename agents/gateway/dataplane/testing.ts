/** @module A gateway's wishes for tests: compiled by the real core from a few words about each cluster. */
import { type Compiled, createCompiler } from "@spanwire/core/desired/compile";
import type { Desired } from "@spanwire/core/desired/desired";
import { flatten } from "@spanwire/core/desired/desired";
import type { Liveness, LocalFacts, Pairs } from "@spanwire/core/desired/local-facts";
import { type TestCluster, type TestMap, type TestMesh, testLocal, testMap } from "@spanwire/core/desired/testing";
import { generateWireGuardKey } from "@spanwire/runtime/crypto/wireguard-key";
import type { Kernel } from "../kernel/port.ts";
import { apply } from "./apply.ts";
import { diff } from "./diff.ts";
import { observe } from "./observe.ts";

/** Two gateways of our own cluster; tests look from the first. */
export const EU: TestCluster = {
  id: "eu",
  block: 0,
  prefixes: ["10.1.0.0/16"],
  gateways: [{ ordinal: 0 }, { ordinal: 1 }],
};
export const US: TestCluster = {
  id: "us",
  block: 1,
  prefixes: ["10.2.0.0/16"],
  gateways: [{ ordinal: 0 }, { ordinal: 1 }],
};
export const PLANT: TestCluster = { id: "plant", block: 2, prefixes: ["10.3.0.0/24", "10.4.0.0/24"] };

const KEYS = [0n, 1n].map((epoch) => ({ epoch, ...generateWireGuardKey() }));

export interface TestGateway {
  readonly map: TestMap;
  compile(options?: {
    readonly liveness?: Liveness;
    readonly pairs?: Pairs;
    readonly facts?: Partial<LocalFacts>;
  }): Compiled;
}

/** Gateway eu.0 of a mesh, with real keys and one compiler, as the agent has. */
export function testGateway(mesh: TestMesh): TestGateway {
  const map = testMap(mesh);
  const compiler = createCompiler();
  const locals = new Map<string, LocalFacts>();
  return {
    map,
    compile({ liveness = new Map(), pairs = new Map(), facts = {} } = {}) {
      const keys = KEYS.filter(({ epoch }) => epoch === map.epoch.active || epoch === map.epoch.opening);
      const id = JSON.stringify([keys.map(({ publicKey }) => publicKey), facts]);
      const local = locals.get(id) ?? testLocal(map, "eu", 0, { keys, ...facts });
      locals.set(id, local);
      const compiled = compiler.compile({ view: map, local, liveness, pairs });
      if (compiled === undefined) throw new Error("the map lacks mesh, epoch or link policy");
      return compiled;
    },
  };
}

export function wishOf(mesh: TestMesh, facts: Partial<LocalFacts> = {}): Desired {
  return testGateway(mesh).compile({ facts }).desired;
}

/** Brings the kernel to the wish by looking; returns the number of changes. */
export async function bring(kernel: Kernel, wish: Desired): Promise<number> {
  const changes = diff(flatten(wish), await observe(kernel));
  const { failures } = await apply(kernel, changes);
  const [failure] = failures;
  if (failure !== undefined) throw failure.error;
  return changes.length;
}
