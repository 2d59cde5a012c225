/** @module Exit codes of the CLI, documented in `spanwire --help` and the package's README. */
import { SpanwireError } from "@spanwire/core/errors";

export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  differs: 5,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_HELP = `
Exit codes:
  0  done
  1  the operation failed
  2  wrong usage: an unknown command or option, or a file that is missing or does not parse
  3  the hub cannot be reached
  4  the hub refused: not allowed, not found, or in conflict with what it holds
  5  diff: the file differs from the mesh; audit verify: the log is not as it was written
`;

/** The exit code for whatever a command threw; 3 and 4 are for those that asked the hub. */
export function exitCodeFor(error: unknown, { askedHub }: { readonly askedHub: boolean }): ExitCode {
  if (!(error instanceof SpanwireError)) return EXIT.failed;
  if (!askedHub) return error.code === "invalid" ? EXIT.usage : EXIT.failed;
  switch (error.code) {
    case "invalid":
      return EXIT.usage;
    case "unavailable":
      return EXIT.unreachable;
    case "unauthenticated":
    case "denied":
    case "not-found":
    case "conflict":
    case "exhausted":
      return EXIT.refused;
    case "kernel":
    case "corrupt":
      return EXIT.failed;
    default:
      return error.code satisfies never;
  }
}
