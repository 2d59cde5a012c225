/** @module Whether an observation is what was wished, found out without looking anything up. */

/**
 * Whether both lists hold the same in the same order. Wishes and observations are sorted alike, and at rest they are
 * the same: only where they are not is it worth making the maps by which a diff finds what belongs together.
 */
export function areSame<A, B>(a: readonly A[], b: readonly B[], isSame: (a: A, b: B) => boolean): boolean {
  return (
    a.length === b.length &&
    a.every((item, index) => {
      const other = b[index];
      return other !== undefined && isSame(item, other);
    })
  );
}
