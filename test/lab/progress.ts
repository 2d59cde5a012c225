/** Says one line about what the lab does, without a line end. */
export type Progress = (line: string) => void;

/** Returns a progress that writes to standard error with the seconds since it was made: results go to standard output. */
export function progressToStderr(now: () => number = performance.now.bind(performance)): Progress {
  const start = now();
  return (line) => process.stderr.write(`[${((now() - start) / 1000).toFixed(1).padStart(6)} s] ${line}\n`);
}
