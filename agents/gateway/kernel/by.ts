/** @module Sorting by a key: every list of an observation is in one order, so that equal states are equal text. */

/** Compares by code units, not by locale. */
export function by<T>(key: (item: T) => string): (a: T, b: T) => number {
  return (a, b) => {
    const left = key(a);
    const right = key(b);
    return left < right ? -1 : left > right ? 1 : 0;
  };
}

/** The key of a route in its table: destination, then metric as a number. */
export function routeKey({ destination, metric }: { readonly destination: string; readonly metric: number }): string {
  return `${destination} ${String(metric).padStart(10, "0")}`;
}
