/** @module Random numbers that repeat: a published interval can be computed again from the same figures. */

/** The minimal standard generator of Park and Miller: from 0 to 1, exclusive. */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}
