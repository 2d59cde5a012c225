/** @module Actions one after another, in the order they were asked for. */

export type InTurn = <T>(action: () => Promise<T>) => Promise<T>;

/** Each action begins when the one before it has ended, well or badly. */
export function createInTurn(): InTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (action) => {
    const result = last.then(action);
    last = result.catch(() => {});
    return result;
  };
}
