/** @module Says that something has changed, to any number of watchers, none of whom misses it while it is busy. */

export interface Changes {
  /** Grows with each change. A watcher notes it before it reads, so that a change during its work is not lost on it. */
  readonly version: number;
  notify(): void;
  /** Resolves as soon as the version exceeds `seen`, or rejects with the signal's reason. */
  after(seen: number, signal: AbortSignal): Promise<void>;
}

export function createChanges(): Changes {
  let version = 0;
  const waiting = new Set<() => void>();
  return {
    get version() {
      return version;
    },
    notify() {
      version++;
      for (const wake of waiting) wake();
    },
    after(seen, signal) {
      return new Promise((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason);
        if (version > seen) return resolve();
        const end = () => {
          waiting.delete(end);
          signal.removeEventListener("abort", end);
          if (signal.aborted) reject(signal.reason);
          else resolve();
        };
        waiting.add(end);
        signal.addEventListener("abort", end, { once: true });
      });
    },
  };
}
