/** @module The wishes for all remote clusters, kept between compiles and renewed where an input changed. */
import type { Admission } from "@spanwire/proto/record";
import { gatewayKey } from "../records/key.ts";
import { type Carrier, compileCarried, compileDirect, movePeers } from "./cluster-fragment.ts";
import { type ClusterPlan, planCluster } from "./cluster-plan.ts";
import type { Context } from "./context.ts";
import { EMPTY_FRAGMENT, type Fragment } from "./desired.ts";
import type { Liveness, Pairs } from "./local-facts.ts";
import type { MapView } from "./map-view.ts";
import { type Member, unusable } from "./member.ts";
import { Neighbours } from "./neighbours.ts";
import { findRemoteGateway, type GatewayFacts, type RemoteGateway } from "./remote-gateway.ts";
import { reuseFragment, trimmed } from "./reuse.ts";

export interface RemotesInput {
  readonly view: MapView;
  readonly liveness: Liveness;
  readonly pairs: Pairs;
}

export interface RemotesUpdate {
  /** Clusters whose fragment is another object than before, or is gone. */
  readonly changed: ReadonlySet<string>;
  /** Whether any admission is another object than before, or is gone. */
  readonly membersChanged: boolean;
}

/** Lives as long as its context; writes into `fragments`, which outlives it so that unchanged ones stay the same. */
export class Remotes {
  readonly #context: Context;
  readonly #fragments: Map<string, Fragment>;
  readonly #neighbours: Neighbours;
  readonly #admissions = new Map<string, Admission>();
  readonly #plans = new Map<string, ClusterPlan>();
  readonly #gateways = new Map<string, KnownGateways>();

  constructor(context: Context, fragments: Map<string, Fragment>) {
    this.#context = context;
    this.#fragments = fragments;
    this.#neighbours = new Neighbours(context);
  }

  /** Renews what depends on the clusters in `ids`; those that did not change after all cost a comparison. */
  update(input: RemotesInput, ids: Iterable<string>): RemotesUpdate {
    const looked = new Set(ids);
    looked.delete(this.#context.local.clusterId);

    const toPlan = this.#readAdmissions(input.view, looked);
    for (const id of toPlan) this.#plan(id);

    const toCompile = new Map<string, News>();
    for (const id of looked.union(toPlan)) {
      const news = this.#readGateways(id, input, toPlan.has(id));
      if (news === undefined) continue;
      toCompile.set(id, news);
      // Whether a carrier has a tunnel decides whether what it carries has routes.
      for (const carried of this.#neighbours.carriedBy(id)) toCompile.set(carried.id, "anew");
    }
    const changed = [...toCompile].filter(([id, news]) => this.#compile(id, news)).map(([id]) => id);
    return { changed: new Set(changed), membersChanged: toPlan.size > 0 };
  }

  members(): readonly Member[] {
    return this.#neighbours.members();
  }

  /** Returns every cluster that must be planned again. */
  #readAdmissions(view: MapView, ids: ReadonlySet<string>): ReadonlySet<string> {
    const toPlan = new Set<string>();
    for (const id of ids) {
      const admission = view.admissions.get(id);
      if (admission === this.#admissions.get(id)) continue;
      if (admission === undefined) this.#admissions.delete(id);
      else this.#admissions.set(id, admission);
      for (const dependent of this.#neighbours.update(id, admission)) toPlan.add(dependent);
    }
    return toPlan;
  }

  #plan(id: string): void {
    const neighbour = this.#neighbours.get(id);
    if (neighbour === undefined) this.#plans.delete(id);
    else this.#plans.set(id, planCluster(this.#context, { ...neighbour, carries: this.#neighbours.carriedBy(id) }));
  }

  /** Undefined where nothing is new. */
  #readGateways(id: string, { view, liveness, pairs }: RemotesInput, isReplanned: boolean): News | undefined {
    const plan = this.#plans.get(id);
    if (plan === undefined) {
      this.#gateways.delete(id);
      return "anew";
    }
    const facts = plan.gateways.map((gateway): GatewayFacts => {
      const held = view.statements.get(gatewayKey(id, gateway.ordinal));
      const statement = held?.order.incarnation === gateway.incarnation ? held.statement : undefined;
      const name = `${id}.${gateway.ordinal}`;
      return { plan: gateway, statement, liveness: liveness.get(name), pair: pairs.get(name) };
    });
    const former = this.#gateways.get(id);
    if (!isReplanned && former !== undefined && sameFacts(former.facts, facts)) return undefined;
    const found = facts.flatMap((each) => findRemoteGateway(this.#context, plan.member, each) ?? []);
    this.#gateways.set(id, { facts, found: trimmed(found) });
    return isReplanned || former === undefined ? "anew" : { before: former.found };
  }

  /** Returns whether the fragment is another object than before. */
  #compile(id: string, news: News): boolean {
    const former = this.#fragments.get(id);
    const next = this.#findMoved(id, former, news) ?? this.#findFragment(id);
    if (next === undefined) return this.#fragments.delete(id);
    const fragment = reuseFragment(former, next);
    this.#fragments.set(id, fragment);
    return fragment !== former;
  }

  /** The commonest change is that a gateway says it is elsewhere, and it costs least. */
  #findMoved(id: string, former: Fragment | undefined, news: News): Fragment | undefined {
    const found = this.#gateways.get(id)?.found;
    if (former === undefined || found === undefined || news === "anew") return undefined;
    return movePeers(former, news.before, found);
  }

  #findFragment(id: string): Fragment | undefined {
    const plan = this.#plans.get(id);
    if (plan === undefined) {
      if (!this.#admissions.has(id)) return undefined;
      return {
        ...EMPTY_FRAGMENT,
        conditions: [unusable(id, "the overlay has no such block; the cluster is left out")],
      };
    }
    const { verdict } = plan;
    if (verdict.linked && verdict.transit !== undefined) {
      return compileCarried(this.#context, plan, this.#carrier(verdict.transit, plan.member));
    }
    return compileDirect(this.#context, plan, this.#gateways.get(id)?.found ?? []);
  }

  #carrier(id: string, carried: Member): Carrier {
    const why = this.#neighbours.objectionToCarrier(id, carried);
    if (why !== undefined) return { usable: false, id, why };
    const hasTunnel = (this.#gateways.get(id)?.found.length ?? 0) > 0;
    const block = this.#plans.get(id)?.member.block;
    if (!hasTunnel || block === undefined) return { usable: false, id, why: `there is no tunnel to ${id} yet` };
    return { usable: true, id, block };
  }
}

/** What a cluster is compiled for: its plan or its carrier is another one, or only what its gateways say. */
type News = "anew" | { readonly before: readonly RemoteGateway[] };

interface KnownGateways {
  readonly facts: readonly GatewayFacts[];
  readonly found: readonly RemoteGateway[];
}

function sameFacts(a: readonly GatewayFacts[], b: readonly GatewayFacts[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ statement, liveness, pair }, i) => {
      const other = b[i];
      return statement === other?.statement && liveness === other?.liveness && pair === other?.pair;
    })
  );
}
