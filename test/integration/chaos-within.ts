/** Waits for what ought to end soon; rejects, naming it and with what `explain` knows of it, when it does not. */
export async function within<T>(limitMs: number, what: string, work: Promise<T>, explain = () => ""): Promise<T> {
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(new Error(`${what}: not within ${limitMs} ms ${explain()}`)), limitMs);
  return Promise.race([work, late.promise]).finally(() => clearTimeout(timer));
}
