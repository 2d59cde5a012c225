/** @module How something is done in the network namespace that a kernel port belongs to. */

/** Runs a synchronous action; it may enter a network namespace meanwhile. Sockets and children stay in it. */
export type Run = <T>(action: () => T) => T;

export const runHere: Run = (action) => action();
