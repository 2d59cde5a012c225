/** @module Labels of a cluster, compared. */

export type Labels = Readonly<Record<string, string>>;

export function sameLabels(a: Labels, b: Labels): boolean {
  const entries = Object.entries(a);
  return entries.length === Object.keys(b).length && entries.every(([key, value]) => b[key] === value);
}
