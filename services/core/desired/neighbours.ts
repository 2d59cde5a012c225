/** @module The remote clusters as the map and the policy see them, and who must be planned again when one changes. */
import type { Admission } from "@spanwire/proto/record";
import { isDirect, judgePair, type PairVerdict } from "../policy/pair.ts";
import type { Context } from "./context.ts";
import { findMember, type Member } from "./member.ts";

export interface Neighbour {
  readonly member: Member;
  /** Of the pair of it and us. */
  readonly verdict: PairVerdict;
}

export class Neighbours {
  readonly #context: Context;
  readonly #known = new Map<string, Neighbour>();
  /** Carrier -> the clusters that we reach through it. */
  readonly #carriedBy = new Map<string, Set<string>>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** Reads one admission anew; undefined forgets the cluster. Returns every cluster whose plan depends on that. */
  update(id: string, admission: Admission | undefined): ReadonlySet<string> {
    const before = this.#dependents(id);
    this.#forget(id);
    const member = admission && findMember(admission, this.#context);
    if (member !== undefined) this.#remember(member);
    return before.union(this.#dependents(id)).add(id);
  }

  get(id: string): Neighbour | undefined {
    return this.#known.get(id);
  }

  members(): readonly Member[] {
    return [...this.#known.values()].map(({ member }) => member).sort((a, b) => (a.id < b.id ? -1 : 1));
  }

  /** The clusters that we reach through `id`, in the order of their ids. */
  carriedBy(id: string): readonly Member[] {
    const ids = [...(this.#carriedBy.get(id) ?? [])].sort();
    return ids.flatMap((each) => this.#known.get(each)?.member ?? []);
  }

  /** Why `id` cannot carry the pair of us and `member`, as far as the policy goes; undefined when it can. */
  objectionToCarrier(id: string, member: Member): string | undefined {
    const carrier = this.#known.get(id);
    if (carrier === undefined) return `${id} is not admitted`;
    if (!isDirect(carrier.verdict)) return `we are not linked directly to ${id}`;
    if (!isDirect(judgePair(this.#context.policy, carrier.member, member))) {
      return `${id} is not linked directly to ${member.id}`;
    }
    return undefined;
  }

  #remember(member: Member): void {
    const { own, isAdmitted, policy } = this.#context;
    const verdict: PairVerdict =
      own === undefined || !isAdmitted ? { linked: false, link: undefined } : judgePair(policy, own, member);
    this.#known.set(member.id, { member, verdict });
    if (verdict.linked && verdict.transit !== undefined) {
      const carried = this.#carriedBy.get(verdict.transit) ?? new Set();
      this.#carriedBy.set(verdict.transit, carried.add(member.id));
    }
  }

  #forget(id: string): void {
    const verdict = this.#known.get(id)?.verdict;
    if (verdict?.linked && verdict.transit !== undefined) this.#carriedBy.get(verdict.transit)?.delete(id);
    this.#known.delete(id);
  }

  #dependents(id: string): Set<string> {
    const verdict = this.#known.get(id)?.verdict;
    const dependents = new Set(this.#carriedBy.get(id));
    if (verdict?.linked && verdict.transit !== undefined) dependents.add(verdict.transit);
    return dependents;
  }
}
