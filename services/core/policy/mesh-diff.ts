/** @module What a mesh file would change: for `spanwire diff -f`, and what `spanwire apply -f` then does. */
import { equals } from "@bufbuild/protobuf";
import { type LinkPolicy, LinkPolicySchema } from "@spanwire/proto/record";
import { listPolicyChanges, type PolicyChange } from "./changes.ts";
import type { MeshFile } from "./mesh-file.ts";

/** The mesh as it is. */
export interface CurrentMesh {
  readonly clusters: readonly CurrentCluster[];
  readonly policy: LinkPolicy;
}

export interface CurrentCluster {
  readonly id: string;
  readonly prefixes: readonly string[];
  readonly labels: Readonly<Record<string, string>>;
}

export interface MeshDiff {
  /** Clusters to update, whole as they shall be, with what differs in words. */
  readonly updates: readonly (CurrentCluster & { readonly differences: readonly string[] })[];
  /** In the file and not admitted: a cluster comes into being when its first gateway registers. */
  readonly missing: readonly string[];
  /** Undefined when it stays as it is. */
  readonly policy: LinkPolicy | undefined;
  readonly pairs: readonly PolicyChange[];
}

/** Compares. What the file does not name stays as it is: absence never deletes. */
export function diffMesh(current: CurrentMesh, file: MeshFile): MeshDiff {
  const known = new Map(current.clusters.map((cluster) => [cluster.id, cluster]));
  const updates = file.clusters.flatMap(({ id, prefixes, labels }) => {
    const before = known.get(id);
    if (before === undefined) return [];
    const after = { id, prefixes: prefixes ?? before.prefixes, labels: labels ?? before.labels };
    const differences = [...prefixDifferences(before, after), ...labelDifferences(before, after)];
    return differences.length === 0 ? [] : [{ ...after, differences }];
  });
  const policy = file.policy ?? current.policy;
  const after = new Map([...known, ...updates.map((update) => [update.id, update] as const)]);
  return {
    // Who gives a prefix up comes before who takes it.
    updates: updates.toSorted((a, b) => additionsOnly(a) - additionsOnly(b)),
    missing: file.clusters.map(({ id }) => id).filter((id) => !known.has(id)),
    policy: equals(LinkPolicySchema, policy, current.policy) ? undefined : policy,
    pairs: listPolicyChanges({ policy: current.policy, parties: known }, { policy, parties: after }),
  };
}

function additionsOnly({ differences }: MeshDiff["updates"][number]): number {
  return differences.some((line) => line.startsWith("- prefix")) ? 0 : 1;
}

function prefixDifferences(before: CurrentCluster, after: CurrentCluster): readonly string[] {
  return [
    ...after.prefixes.filter((prefix) => !before.prefixes.includes(prefix)).map((prefix) => `+ prefix ${prefix}`),
    ...before.prefixes.filter((prefix) => !after.prefixes.includes(prefix)).map((prefix) => `- prefix ${prefix}`),
  ];
}

function labelDifferences(before: CurrentCluster, after: CurrentCluster): readonly string[] {
  return [
    ...Object.entries(after.labels)
      .filter(([key, value]) => before.labels[key] !== value)
      .map(labelLine("+")),
    ...Object.entries(before.labels)
      .filter(([key, value]) => after.labels[key] !== value)
      .map(labelLine("-")),
  ];
}

function labelLine(sign: "+" | "-"): (label: [string, string]) => string {
  return ([key, value]) => `${sign} label ${key}=${value}`;
}
