/** @module What a benchmark is, and what it reports. Every figure is a ratio to a control measured in the same run. */

export interface Bench {
  readonly name: string;
  readonly summary: string;
  /** Options of its own, as parseArgs takes them, with their defaults. */
  readonly options: Readonly<Record<string, { readonly type: "string"; readonly default: string }>>;
  /** For benchmarks of the kernel's WireGuard: they run where that is, in the lab's VM if need be. */
  readonly needsWireGuard?: {
    /** Of the whole run, a slow machine's included. */
    readonly limitMs: number;
    /** Makes on this machine what cannot be made in the VM, which has no network. */
    prepare(): Promise<void>;
  };
  run(options: Readonly<Record<string, string>>, report: (line: string) => void): Promise<readonly Row[]>;
}

export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** What it is compared with, measured in the same run; undefined for information. */
  readonly control: number | undefined;
  readonly target: Target | undefined;
}

export type Target =
  | { readonly kind: "at-most"; readonly limit: number }
  | { readonly kind: "at-least"; readonly limit: number }
  /** The interval does not decide: an honest result, and not ok. */
  | { readonly kind: "inconclusive"; readonly limit: number };

/** Undefined where there is no target. */
export function isOk({ value, target }: Row): boolean | undefined {
  switch (target?.kind) {
    case undefined:
      return undefined;
    case "at-most":
      return value <= target.limit;
    case "at-least":
      return value >= target.limit;
    case "inconclusive":
      return false;
    default:
      return target satisfies never;
  }
}
