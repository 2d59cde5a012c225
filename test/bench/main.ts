/**
 * @module `npm run bench -- NAME [options] [--json]`: one benchmark, its rows with control and target. The exit status
 * is 0 only if every row with a target is ok; with --json the last line is one object.
 */
import { parseArgs } from "node:util";
import { type Bench, isOk, type Row } from "./bench.ts";
import { describeEnvironment } from "./environment.ts";

const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  fanout: async () => (await import("./fanout.ts")).fanout,
  idle: async () => (await import("./idle.ts")).idle,
  memory: async () => (await import("./memory.ts")).memory,
  register: async () => (await import("./register.ts")).register,
};

const [name = "", ...args] = process.argv.slice(2);
const load = BENCHES[name];
if (load === undefined) {
  process.stderr.write(`no benchmark "${name}"; there are: ${Object.keys(BENCHES).join(", ")}\n`);
  process.exit(2);
}

const bench = await load();
const { values } = parseArgs({ args, options: { ...bench.options, json: { type: "boolean", default: false } } });
const { json, ...options } = values;
const environment = await describeEnvironment();
say(`${bench.name}: ${bench.summary}`);
say(
  Object.entries(environment)
    .map(([key, value]) => `${key} ${value}`)
    .join(", "),
);

const rows = await bench.run(options as Record<string, string>, say);
for (const row of rows) say(describeRow(row));
if (json) {
  const plain = rows.map((row) => ({ ...row, target: row.target?.limit, ok: isOk(row) }));
  process.stdout.write(`${JSON.stringify({ bench: bench.name, environment, rows: plain })}\n`);
}
process.exitCode = rows.every((row) => isOk(row) !== false) ? 0 : 1;

function describeRow(row: Row): string {
  const control = row.control === undefined ? "" : `, control ${format(row.control)}`;
  const verdict = { true: "ok", false: "MISSED", undefined: "" }[String(isOk(row)) as "true"];
  const target = row.target === undefined ? "" : `, target ${row.target.kind} ${row.target.limit}: ${verdict}`;
  return `  ${row.name}: ${format(row.value)} ${row.unit}${control}${target}`;
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
