/** @module `spanwire audit verify`: whether the log is as it was written, asked of the hub or of exports. */
import { createReadStream } from "node:fs";
import { createInterface } from "node:readline";
import { createExportReader } from "@spanwire/core/audit/export-reader";
import { LogVerifier, type Verdict } from "@spanwire/core/audit/log-verifier";
import { decodeBlock } from "@spanwire/core/audit/open-block";
import { SpanwireError } from "@spanwire/core/errors";
import { Command } from "commander";
import { trustIn, trustOf } from "../audit-trust.ts";
import { examples } from "../examples.ts";
import { EXIT } from "../exit-code.ts";
import { globalOptions } from "../global-options.ts";
import { renderValue } from "../output/render.ts";
import { parseSequence } from "../parse-sequence.ts";
import type { Session } from "../session.ts";

export function auditVerifyCommand(session: Session): Command {
  return new Command("verify")
    .description("check that no entry was changed, deleted or moved: the hub's log, or exports of it, offline")
    .argument("[files...]", "exports of one mesh, the oldest first; - is standard input; none asks the hub")
    .option("--from <n>", "the entry that the first file begins with, if not the first of all", parseSequence)
    .option("--authority-key <base64>", "the mesh's authority key, where there is no context file of it")
    .option("--mesh <id>", "the mesh's id, with --authority-key")
    .addHelpText("after", VERIFY_HELP)
    .action(async (files: string[], { from = 1n, authorityKey, mesh }: VerifyOptions, command: Command) => {
      const { context, output } = globalOptions(command);
      const trust = await (authorityKey === undefined ? trustOf(session, context) : trustIn(authorityKey, mesh));
      const verifier = new LogVerifier({ ...trust, from });
      if (files.length === 0) await verifyHub(session, context, verifier);
      for (const file of files) await verifyFile(file, trust.meshId, verifier);
      const verdict = verifier.finish();
      session.out(
        renderValue(
          output,
          () => verdictValue(verdict),
          () => verdictText(verdict),
        ),
      );
      if (verdict.problems.length > 0) session.exitWith(EXIT.differs);
    });
}

interface VerifyOptions {
  readonly from?: bigint;
  readonly authorityKey?: string;
  readonly mesh?: string;
}

const VERIFY_HELP = `
Needs only the mesh's authority key, which the context file holds. Exit code 5 when anything is wrong.
An older export before a newer one shows whether the hub itself has written another history since.
${examples(
  "audit verify",
  "audit verify audit.jsonl",
  "audit verify january.jsonl february.jsonl",
  "audit verify --authority-key B64 --mesh mesh-x7k2m9qd audit.jsonl",
)}`;

async function verifyHub(session: Session, context: string | undefined, verifier: LogVerifier): Promise<void> {
  const { signal } = session;
  for await (const { block } of (await session.fleet(context)).readAudit({}, { signal })) {
    const decoded = decodeBlock(block);
    if (decoded === undefined) verifier.report("a block of the log cannot be read");
    else verifier.take(decoded);
  }
}

async function verifyFile(path: string, meshId: string, verifier: LogVerifier): Promise<void> {
  const reader = createExportReader(verifier, meshId);
  const name = path === "-" ? "standard input" : path;
  let number = 0;
  try {
    for await (const line of createInterface({ input: createReadStream(path === "-" ? "/dev/stdin" : path) })) {
      number += 1;
      if (line !== "") reader.line(line, `${name}:${number}`);
    }
  } catch (cause) {
    throw new SpanwireError("invalid", `verify ${name}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  reader.end(name);
}

function verdictValue({ problems, notes, first, last, endedAtMs }: Verdict): object {
  const endedAt = endedAtMs === undefined ? undefined : new Date(endedAtMs).toISOString();
  return { whole: problems.length === 0, first: `${first}`, last: `${last}`, endedAt, problems, notes };
}

function verdictText({ problems, notes, first, last, endedAtMs }: Verdict): string {
  const until = endedAtMs === undefined ? "" : `, as of ${new Date(endedAtMs).toISOString()}`;
  const which = last < first ? "no entries" : `entries ${first} to ${last}`;
  const found = problems.length === 0 ? `whole: ${which}${until}` : `not whole: ${which}${until}`;
  return [found, ...problems.map((problem) => `  ${problem}`), ...notes.map((note) => `  note: ${note}`), ""].join(
    "\n",
  );
}
