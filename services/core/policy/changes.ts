/** @module What another policy would change, pair by pair: for `link set --dry-run` and `diff -f`. */
import type { LinkPolicy } from "@spanwire/proto/record";
import { describeVerdict } from "./describe.ts";
import { judgePair, type Party } from "./pair.ts";

/** A pair, its lower id left, and what may cross before and after. */
export interface PolicyChange {
  readonly left: string;
  readonly right: string;
  readonly before: string;
  readonly after: string;
}

/** Lists the pairs for which the two differ, by id. The parties may differ as well: labels are part of a policy. */
export function listPolicyChanges(before: PolicyState, after: PolicyState): readonly PolicyChange[] {
  const ids = [...after.parties.keys()].filter((id) => before.parties.has(id)).sort();
  return ids.flatMap((left, index) =>
    ids.slice(index + 1).flatMap((right) => {
      const change = {
        left,
        right,
        before: describePair(before, left, right),
        after: describePair(after, left, right),
      };
      return change.before === change.after ? [] : [change];
    }),
  );
}

export interface PolicyState {
  readonly policy: LinkPolicy;
  /** By cluster id. */
  readonly parties: ReadonlyMap<string, Party>;
}

function describePair({ policy, parties }: PolicyState, left: string, right: string): string {
  const [a, b] = [parties.get(left), parties.get(right)];
  return a === undefined || b === undefined ? "" : describeVerdict(judgePair(policy, a, b), [left, right]);
}
