/** @module Named checks that say whether a process can be used. */

/** Gives undefined when all is well, else a sentence that says what is not. Must be quick: it asks nobody. */
export type Check = () => string | undefined;

export interface Checks {
  /** The name appears in the answer: `nats`, `map`. */
  add(name: string, check: Check): void;
  run(): CheckResult;
}

export interface CheckResult {
  readonly ok: boolean;
  /** By name: `ok`, or what is wrong. */
  readonly checks: Readonly<Record<string, string>>;
}

export function createChecks(): Checks {
  const all = new Map<string, Check>();
  return {
    add: (name, check) => void all.set(name, check),
    run() {
      const results = [...all].map(([name, check]) => [name, check()] as const);
      return {
        ok: results.every(([, problem]) => problem === undefined),
        checks: Object.fromEntries(results.map(([name, problem]) => [name, problem ?? "ok"])),
      };
    },
  };
}
