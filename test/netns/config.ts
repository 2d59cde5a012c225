/** @module What these tests take from the environment. */

/** Returns how often a test repeats: `--n N` of `npm test` (SPANWIRE_N), else the count that suits CI. */
export function repeats(inCi: number, environment: NodeJS.ProcessEnv = process.env): number {
  const given = Number(environment["SPANWIRE_N"] ?? inCi);
  if (!Number.isInteger(given) || given < 1) throw new Error(`SPANWIRE_N=${environment["SPANWIRE_N"]}: not a count`);
  return given;
}

/** Whether the package was bundled just before, where that takes less time than in the VM. */
export function isBuilt(environment: NodeJS.ProcessEnv = process.env): boolean {
  return environment["SPANWIRE_BUILT"] === "yes";
}

/** Returns the seed of a test's random choices: SPANWIRE_SEED repeats an earlier run. */
export function seed(environment: NodeJS.ProcessEnv = process.env): number {
  return Number(environment["SPANWIRE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
}
