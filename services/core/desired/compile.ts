/**
 * @module Stop 6: the map and the host's own facts -> what this gateway's kernel should hold.
 *
 * Compiled for each remote cluster and kept: one changed record recompiles one cluster, and what did not change is the
 * same object as before. Compiling in steps and compiling from scratch give equal results.
 */
import { gatewayKey } from "../records/key.ts";
import { compileBase, firewallFrame } from "./base.ts";
import { type Context, type ContextInputs, readContext, sameInputs } from "./context.ts";
import type { Desired, Fragment } from "./desired.ts";
import type { Liveness, LocalFacts, Pairs } from "./local-facts.ts";
import type { MapView } from "./map-view.ts";
import { Remotes } from "./remotes.ts";
import { reuseFragment } from "./reuse.ts";
import { carriedPairRules, isCarrier } from "./through.ts";

export interface CompileInput {
  readonly view: MapView;
  readonly local: LocalFacts;
  readonly liveness: Liveness;
  /** Absent follows the record with everybody. */
  readonly pairs?: Pairs;
}

/**
 * The clusters whose admission, statements, liveness or pairs may have changed since the last call. "all" is always right:
 * it compares everything by reference, and it is needed for a record that is no cluster's.
 */
export type Changed = ReadonlySet<string> | "all";

export interface Compiled {
  /** `clusters` is the compiler's own map and moves on with the next call; the fragments in it never change. */
  readonly desired: Desired;
  /** Clusters whose fragment is another object than before, or is gone. */
  readonly changed: ReadonlySet<string>;
  readonly baseChanged: boolean;
}

export interface Compiler {
  /** Undefined while the map lacks mesh, epoch or link policy: then leave the kernel as it is. */
  compile(input: CompileInput, changed?: Changed): Compiled | undefined;
}

export function createCompiler(): Compiler {
  const clusters = new Map<string, Fragment>();
  let session: Session | undefined;

  return {
    compile(input, hint = "all") {
      const { view, liveness, pairs = NO_PAIRS } = input;
      const inputs = readInputs(input);
      const former = session;
      const isSame = former !== undefined && sameInputs(former.inputs, inputs);
      const context = isSame ? former.context : readContext(inputs);
      if (context === undefined) return undefined;

      const all = hint === "all" || !isSame;
      const remotes = isSame ? former.remotes : new Remotes(context, clusters);
      const ids = all ? [...view.admissions.keys(), ...clusters.keys()] : hint;
      const { changed, membersChanged } = remotes.update({ view, liveness, pairs }, ids);
      if (!all && !(membersChanged && isCarrier(context))) {
        return { desired: former.desired, changed, baseChanged: false };
      }
      const through = isCarrier(context) ? carriedPairRules(context, remotes.members()) : [];
      const built = compileBase(context, { through, unknownKeys: view.unknownKeys() });
      const base = reuseFragment(former?.desired.base, built);
      session = { inputs, context, remotes, desired: { base, clusters, firewall: firewallFrame(context) } };
      return { desired: session.desired, changed, baseChanged: base !== former?.desired.base };
    },
  };
}

const NO_PAIRS: Pairs = new Map();

interface Session {
  readonly inputs: ContextInputs;
  readonly context: Context;
  readonly remotes: Remotes;
  readonly desired: Desired;
}

function readInputs({ view, local }: CompileInput): ContextInputs {
  const statement = view.statements.get(gatewayKey(local.clusterId, local.ordinal))?.statement;
  return {
    mesh: view.mesh,
    epoch: view.epoch,
    policy: view.linkPolicy,
    admission: view.admissions.get(local.clusterId),
    isReachable: statement !== undefined && statement.endpoints.length > 0,
    local,
  };
}
