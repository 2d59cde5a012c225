/** @module `spanwire audit`: who did what, and proof that nobody has changed the record of it. */
import { open } from "node:fs/promises";
import { decodeEntry } from "@spanwire/core/audit/entry";
import { EXPORT_FORMATS, type ExportFormat, exportLines } from "@spanwire/core/audit/export-lines";
import { createBlockOpener, decodeBlock } from "@spanwire/core/audit/open-block";
import { SpanwireError } from "@spanwire/core/errors";
import type { AuditBlock } from "@spanwire/proto/audit";
import { Command, InvalidArgumentError, Option } from "commander";
import { stringify } from "yaml";
import { trustOf } from "../audit-trust.ts";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import { auditLine } from "../output/audit-line.ts";
import type { OutputFormat } from "../output/render.ts";
import { parseSequence } from "../parse-sequence.ts";
import type { Session } from "../session.ts";
import { auditVerifyCommand } from "./audit-verify.ts";

export function auditCommand(session: Session): Command {
  return new Command("audit")
    .description("who did what: follow it, export it, verify it")
    .addCommand(tailCommand(session))
    .addCommand(exportCommand(session))
    .addCommand(auditVerifyCommand(session));
}

function tailCommand(session: Session): Command {
  return new Command("tail")
    .description("show the newest entries, and each new one as it comes")
    .option("--last <n>", "how many to begin with, up to 10000", parseCount, 20)
    .option("--no-follow", "show those and end")
    .addHelpText("after", examples("audit tail", "audit tail --last 100 --no-follow", "audit tail -o json"))
    .action(async ({ last, follow }: { last: number; follow: boolean }, command: Command) => {
      const { context, output } = globalOptions(command);
      const trust = await trustOf(session, context);
      const believe = createBlockOpener(trust);
      const seen: string[] = [];
      for await (const block of readBlocks(session, context, { after: 0n, last, follow })) {
        const opening = believe(block);
        if (!opening.ok) session.note(`not to be believed: ${opening.why}\n`);
        const lines = linesOf(block, output, trust.meshId);
        if (follow) session.out(lines.join(""));
        else seen.push(...lines);
      }
      session.out(seen.slice(-last).join(""));
    });
}

function exportCommand(session: Session): Command {
  return new Command("export")
    .description("write the log as JSON lines that other tools read, and that can be verified offline")
    .addOption(
      new Option("--format <name>", "OCSF 1.2, ECS 8.17, or the entries as they are")
        .choices(EXPORT_FORMATS)
        .default("ocsf"),
    )
    .option("--after <n>", "only what comes after this entry", parseSequence)
    .option("--out <file>", "a new file, 0600, instead of standard output")
    .addHelpText("after", EXPORT_HELP)
    .action(async ({ format, after = 0n, out }: ExportOptions, command: Command) => {
      const { context } = globalOptions(command);
      const { meshId } = await session.context(context);
      await using file = out === undefined ? undefined : await openNew(out);
      for await (const block of readBlocks(session, context, { after, follow: false })) {
        const text = exportLines(block, format, meshId)
          .map((line) => `${line}\n`)
          .join("");
        if (file === undefined) session.out(text);
        else await file.write(text);
      }
    });
}

interface ExportOptions {
  readonly format: ExportFormat;
  readonly after?: bigint;
  readonly out?: string;
}

const EXPORT_HELP = `
Each line carries the entry as it was signed, and the last line how far the log went: keep both for "audit verify".
Events are API Activity, Authentication, Entity Management and Tunnel Activity of OCSF.
${examples(
  "audit export --out audit.jsonl",
  "audit export --format ecs --after 5012 | gzip > audit.jsonl.gz",
  "audit export --format json | jq .action",
)}`;

interface Reading {
  readonly after: bigint;
  readonly last?: number;
  readonly follow: boolean;
}

async function* readBlocks(
  session: Session,
  context: string | undefined,
  reading: Reading,
): AsyncGenerator<AuditBlock> {
  const { signal } = session;
  try {
    for await (const { block } of (await session.fleet(context)).readAudit(reading, { signal })) {
      const decoded = decodeBlock(block);
      if (decoded === undefined) session.note("a block of the log cannot be read\n");
      else yield decoded;
    }
  } catch (error) {
    if (!(reading.follow && signal.aborted)) throw error; // whoever follows ends it with an interrupt
  }
}

function linesOf(block: AuditBlock, output: OutputFormat, meshId: string): string[] {
  if (block.entries.length === 0) return [];
  if (output !== "table") {
    const lines = exportLines(block, "json", meshId);
    return lines.map((line) => (output === "json" ? `${line}\n` : `---\n${stringify(JSON.parse(line))}`));
  }
  const entries = block.entries.map(decodeEntry);
  return entries.map((entry) => (entry === undefined ? "an entry that cannot be read\n" : auditLine(entry)));
}

async function openNew(path: string) {
  try {
    return await open(path, "wx", 0o600);
  } catch (cause) {
    const isThere = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    const why = isThere ? "the file exists; name another one" : String(cause);
    throw new SpanwireError("invalid", `export to ${path}: ${why}`, { cause });
  }
}

function parseCount(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 1 && count <= 10_000) return count;
  throw new InvalidArgumentError("a number from 1 to 10000");
}
