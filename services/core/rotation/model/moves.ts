/**
 * @module Everything that can happen next in a rotation, however messages and crashes fall.
 *
 * The deciding functions are the real ones; what is modelled is the world between them. A message that is lost,
 * repeated or late is one that is delivered at another moment, because the receiver keeps the last it took: maps are
 * read at a sequence, statements and reports have orders, probes have numbers. A crash loses what was heard and keeps
 * kernel and disk; it may fall between any two changes, because each change is a step of its own.
 */
import { type EpochView, targetEpoch } from "../epoch.ts";
import { decideKeys } from "../keys.ts";
import { decideStep, type GatewayReport } from "../lead.ts";
import { decidePair, type PairView } from "../pair.ts";
import { at, type Gateway, type Pair, type World } from "./world.ts";

export interface Move {
  readonly name: string;
  readonly world: World;
}

export interface Rules {
  readonly decidePair: typeof decidePair;
  /** Gateways that may lose their memory at any moment. */
  readonly crashing: readonly number[];
  /** Gateways that may be away at any moment: cut off and not waited for. */
  readonly leaving: readonly number[];
  /** Whether a gateway's work after each event is one step; else each change is, so that a crash may fall between. */
  readonly actsAtOnce: boolean;
}

export const RULES: Rules = { decidePair, crashing: [], leaving: [], actsAtOnce: false };

/** Everything that can happen next. Steps that change nothing are left out. */
export function movesOf(world: World, rules: Rules): readonly Move[] {
  const moves: Move[] = [...leaderMoves(world)];
  world.gateways.forEach((gateway, own) => {
    if (gateway.isAway) {
      moves.push({ name: `${own} comes back`, world: withGateway(world, own, { ...gateway, isAway: false }) });
      return;
    }
    const steps = [...eventMoves(world, own, gateway, rules)];
    if (rules.actsAtOnce) {
      moves.push(...steps.map(({ name, world }) => ({ name, world: actThrough(world, own, rules) })));
    } else {
      moves.push(...steps, ...actMoves(world, own, rules));
    }
  });
  return moves;
}

/** Every change that the gateway can make by itself, one after the other. */
function actThrough(world: World, own: number, rules: Rules): World {
  const [first] = actMoves(world, own, rules);
  return first === undefined ? world : actThrough(first.world, own, rules);
}

function leaderMoves(world: World): readonly Move[] {
  const { epoch, opensLeft, abortsLeft } = world;
  const live = new Set(world.gateways.flatMap(({ isAway }, n) => (isAway ? [] : [String(n)])));
  const reports = new Map(world.reports.flatMap((report, n) => (report === undefined ? [] : [[String(n), report]])));
  const requests = [
    undefined,
    ...(opensLeft > 0 ? (["open"] as const) : []),
    ...(abortsLeft > 0 ? (["abort"] as const) : []),
  ];
  const nexts = requests.flatMap((request) => {
    const step = decideStep({ epoch, live, reports, request });
    return step.kind === "write" ? [step.epoch] : [];
  });
  return [...new Map(nexts.map((next) => [next.state, next])).values()].map((next) => ({
    name: `the leader writes ${next.state}`,
    world: {
      ...world,
      epoch: next,
      opensLeft: opensLeft - (next.state === "open" ? 1 : 0),
      abortsLeft: abortsLeft - (next.state === "aborted" ? 1 : 0),
    },
  }));
}

/** What reaches a gateway, or befalls it. */
function eventMoves(world: World, own: number, gateway: Gateway, rules: Rules): readonly Move[] {
  const { pairs } = gateway;
  const to = (name: string, next: Gateway): Move => ({ name: `${own} ${name}`, world: withGateway(world, own, next) });
  const moves = [to("reads the map", { ...gateway, epoch: world.epoch, statements: world.statements })];
  const report = reportOf(world, own, rules);
  moves.push({ name: `${own} reports`, world: { ...world, reports: replaced(world.reports, own, report) } });
  for (const [n, other] of world.gateways.entries()) {
    const pair = at(pairs, n);
    const theirs = at(other.pairs, own);
    const passes = pair.built.filter((each) => theirs.built.includes(each));
    if (n === own || other.isAway || passes.length === 0 || theirs.sendsOn === undefined) continue;
    const heard = { sendsOn: theirs.sendsOn, generation: other.epoch.generation };
    moves.push(to(`hears ${n}`, { ...gateway, pairs: replaced(pairs, n, { ...pair, heard, ready: passes }) }));
  }
  if (rules.crashing.includes(own)) {
    moves.push(to("crashes", { ...gateway, pairs: pairs.map((pair) => ({ ...pair, heard: undefined, ready: [] })) }));
  }
  if (rules.leaving.includes(own)) moves.push(to("leaves", { ...gateway, isAway: true }));
  return moves;
}

/** The changes on disk, in the map and in the kernel that a gateway can make now, one each. */
function actMoves(world: World, own: number, rules: Rules): readonly Move[] {
  const gateway = at(world.gateways, own);
  const { keys, pairs, epoch } = gateway;
  const to = (name: string, next: Gateway): Move => ({ name: `${own} ${name}`, world: withGateway(world, own, next) });
  const { make, destroy } = decideKeys(epoch, { held: keys, inUse: pairs.flatMap(({ built }) => built) });
  const moves = [
    ...destroy.map((key) => to(`destroys ${key}`, { ...gateway, keys: keys.filter((each) => each !== key) })),
    ...make.map((key) => to(`makes ${key}`, { ...gateway, keys: [...keys, key].sort() })),
  ];
  if (at(world.statements, own).join() !== keys.join()) {
    moves.push({ name: `${own} states`, world: { ...world, statements: replaced(world.statements, own, keys) } });
  }
  for (const n of pairs.keys()) {
    if (n === own) continue;
    for (const next of pairChanges(world, own, n, rules)) {
      moves.push(to(`changes its pair with ${n}`, { ...gateway, pairs: replaced(pairs, n, next) }));
    }
  }
  return moves;
}

/** The next single change towards the wish: a peer more, then the way we send, then a peer less. */
function pairChanges(world: World, own: number, other: number, rules: Rules): readonly Pair[] {
  const { pair, view, epoch } = pairView(world, own, other);
  const { build, sendOn } = rules.decidePair(epoch, view);
  const missing = build.filter((each) => !pair.built.includes(each));
  if (missing.length > 0) return missing.map((each) => ({ ...pair, built: [...pair.built, each].sort() }));
  if (sendOn !== pair.sendsOn) return [{ ...pair, sendsOn: sendOn }];
  const spare = pair.built.filter((each) => !build.includes(each));
  const left = (gone: bigint) => ({
    built: pair.built.filter((each) => each !== gone),
    ready: pair.ready.filter((each) => each !== gone),
  });
  return spare.map((gone) => ({ ...pair, ...left(gone) }));
}

function pairView(world: World, own: number, other: number): { pair: Pair; view: PairView; epoch: EpochView } {
  const { keys, statements, pairs, epoch } = at(world.gateways, own);
  const pair = at(pairs, other);
  const common = keys.filter((key) => at(statements, other).includes(key));
  const theirs = at(at(world.gateways, other).pairs, own);
  const isAlive = !at(world.gateways, other).isAway && pair.built.some((each) => theirs.built.includes(each));
  return { pair, epoch, view: { ...pair, common, quiet: theirs.sendsOn === pair.sendsOn, isAlive } };
}

function reportOf(world: World, own: number, rules: Rules): GatewayReport {
  const { epoch } = at(world.gateways, own);
  const phases = world.gateways.flatMap((_, other) => {
    if (other === own) return [];
    const { view } = pairView(world, own, other);
    const { phase } = rules.decidePair(epoch, view);
    return phase === "done" ? [] : [[String(other), phase] as const];
  });
  const hasKey = at(world.statements, own).includes(targetEpoch(epoch));
  return { generation: epoch.generation, hasKey, behind: new Map(phases), unlisted: 0 };
}

function withGateway(world: World, n: number, gateway: Gateway): World {
  return { ...world, gateways: replaced(world.gateways, n, gateway) };
}

function replaced<T>(list: readonly T[], at: number, value: T): readonly T[] {
  return list.map((each, n) => (n === at ? value : each));
}
