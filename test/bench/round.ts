/** @module One round: when each of a crowd was done with a change, and the CPU time that it took. */
import { nowMs } from "./now.ts";

/** Of one process. */
export interface Round {
  /** On the clock of `nowMs`. */
  readonly times: readonly number[];
  /** Of all threads of the process. */
  readonly cpuMs: number;
}

/** Of all processes. */
export interface Measurement {
  /** From the write until each was done, in milliseconds. */
  readonly times: readonly number[];
  /** Of each, on average. */
  readonly cpuMs: number;
}

export interface RoundMeter {
  note(atMs: number): void;
  /** Resolves when all have been noted. */
  readonly done: Promise<Round>;
}

/** In the process of the crowd. */
export function startRound(size: number): RoundMeter {
  const before = process.cpuUsage();
  const times: number[] = [];
  const whole = Promise.withResolvers<Round>();
  return {
    note(atMs) {
      times.push(atMs);
      if (times.length < size) return;
      const { user, system } = process.cpuUsage(before);
      whole.resolve({ times, cpuMs: (user + system) / 1_000 });
    },
    done: whole.promise,
  };
}

/** From just before the act until each process has finished the round. */
export async function timed(rounds: () => readonly Promise<Round>[], act: () => Promise<void>): Promise<Measurement> {
  const startMs = nowMs();
  const [done] = await Promise.all([Promise.all(rounds()), act()]);
  const times = done.flatMap((round) => round.times.map((atMs) => atMs - startMs));
  return { times, cpuMs: done.reduce((sum, { cpuMs }) => sum + cpuMs, 0) / times.length };
}
