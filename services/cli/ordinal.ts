/** @module Gateway ordinals as people type them. */
import { InvalidArgumentError } from "commander";

/** For a command-line option or argument. */
export function parseOrdinal(text: string): number {
  if (!/^(\d|1[0-5])$/.test(text)) throw new InvalidArgumentError("an ordinal is a number from 0 to 15");
  return Number(text);
}
