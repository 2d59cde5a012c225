/** @module Walks through every world that can come of one, and keeps the way to each. */
import { movesOf, type Rules } from "./moves.ts";
import { createPrinter } from "./print-world.ts";
import type { World } from "./world.ts";

export interface Explored {
  readonly worlds: number;
  /** The shortest way to a world that is not sound; undefined when there is none. */
  readonly broken: Way | undefined;
  /** A way to a world from which no way leads to an end; undefined when there is none. */
  readonly stuck: Way | undefined;
}

export interface Way {
  readonly moves: readonly string[];
  readonly problem: string;
}

interface Node {
  readonly world: World;
  readonly from: Node | undefined;
  readonly move: string;
  readonly before: Node[];
}

export interface Question {
  /** What must never be, in words; undefined for a world that is sound. */
  readonly findProblem: (world: World) => string | undefined;
  /** What must stay possible. */
  readonly isEnd: (world: World) => boolean;
}

export function explore(start: World, rules: Rules, { findProblem, isEnd }: Question): Explored {
  const print = createPrinter(rules);
  const first: Node = { world: start, from: undefined, move: "start", before: [] };
  const nodes = new Map([[print(start), first]]);
  const queue = [first];
  for (const node of queue) {
    for (const { name, world } of movesOf(node.world, rules)) {
      const printed = print(world);
      const known = nodes.get(printed);
      if (known !== undefined) {
        known.before.push(node);
        continue;
      }
      const next: Node = { world, from: node, move: name, before: [node] };
      const problem = findProblem(world);
      if (problem !== undefined) return { worlds: nodes.size, broken: wayTo(next, problem), stuck: undefined };
      nodes.set(printed, next);
      queue.push(next);
    }
  }
  const stuck = findStuck(queue, isEnd);
  return { worlds: nodes.size, broken: undefined, stuck: stuck && wayTo(stuck, "no way on") };
}

/** Goes back from the ends; what is not met leads to none. */
function findStuck(nodes: readonly Node[], isEnd: (world: World) => boolean): Node | undefined {
  const queue = nodes.filter(({ world }) => isEnd(world));
  const met = new Set(queue);
  for (const node of queue) {
    for (const each of node.before) {
      if (met.has(each)) continue;
      met.add(each);
      queue.push(each);
    }
  }
  return nodes.find((node) => !met.has(node));
}

function wayTo(node: Node, problem: string): Way {
  const moves: string[] = [];
  for (let at: Node | undefined = node; at?.from !== undefined; at = at.from) moves.unshift(at.move);
  return { moves, problem };
}
