/**
 * @module `npm run bench -- NAME [options] [--json]`: one benchmark, its rows with control and target. The exit status
 * is 0 only if every row with a target is ok; with --json the last line is one object.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { exitStatus } from "../lab/vm/run.ts";
import { runWhereWireGuardIs } from "../lab/where-wireguard-is.ts";
import { type Bench, isOk, type Row, type Target } from "./bench.ts";
import { describeEnvironment } from "./environment.ts";

const BENCHES: Readonly<Record<string, () => Promise<Bench>>> = {
  fanout: async () => (await import("./fanout.ts")).fanout,
  idle: async () => (await import("./idle.ts")).idle,
  memory: async () => (await import("./memory.ts")).memory,
  register: async () => (await import("./register.ts")).register,
  revoke: async () => (await import("./revoke.ts")).revoke,
  tunnel: async () => (await import("./tunnel.ts")).tunnel,
};
const OPTIONS = {
  json: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
  /** That this is where WireGuard is: for the benchmark's own call of itself. */
  inside: { type: "boolean", default: false },
} as const;
const CHECKOUT = join(import.meta.dirname, "../..");

const [name = "", ...args] = process.argv.slice(2);
process.exitCode = await main();

async function main(): Promise<number> {
  const load = BENCHES[name];
  if (load === undefined) {
    const isHelp = name === "--help";
    const text = `npm run bench -- NAME [options] [--json] [--help]\nNAME is one of: ${Object.keys(BENCHES).join(", ")}\n`;
    process[isHelp ? "stdout" : "stderr"].write(isHelp ? text : `no benchmark "${name}"\n${text}`);
    return isHelp ? 0 : 2;
  }
  const bench = await load();
  const { values } = parseArgs({ args, options: { ...bench.options, ...OPTIONS } });
  const { json, help, inside, ...options } = values;
  if (help) {
    say(describeOptions(bench));
    return 0;
  }
  if (bench.needsWireGuard !== undefined && !inside) {
    await bench.needsWireGuard.prepare();
    const command = ["node", "test/bench/main.ts", name, ...args, "--inside"];
    return exitStatus(await runWhereWireGuardIs({ command, cwd: CHECKOUT, timeoutMs: bench.needsWireGuard.limitMs }));
  }
  return runHere(bench, options as Record<string, string>, json);
}

async function runHere(bench: Bench, options: Readonly<Record<string, string>>, json: boolean): Promise<number> {
  const environment = await describeEnvironment();
  say(`${bench.name}: ${bench.summary}`);
  say(
    Object.entries(environment)
      .map(([key, value]) => `${key} ${value}`)
      .join(", "),
  );
  const rows = await bench.run(options, say);
  for (const row of rows) say(describeRow(row));
  if (json) {
    const plain = rows.map((row) => ({ ...row, target: row.target?.limit, ok: isOk(row) }));
    say(JSON.stringify({ bench: bench.name, environment, rows: plain }));
  }
  return rows.every((row) => isOk(row) !== false) ? 0 : 1;
}

function describeOptions({ name: bench, summary, options }: Bench): string {
  const lines = Object.entries(options).map(([option, { default: value }]) => `  --${option} ${value || "''"}`);
  return [`${bench}: ${summary}`, "options and their defaults:", ...lines, "  --json"].join("\n");
}

function describeRow(row: Row): string {
  const control = row.control === undefined ? "" : `, control ${format(row.control)}`;
  const target = row.target === undefined ? "" : `, target ${describeTarget(row.target)}: ${verdictOf(row)}`;
  return `  ${row.name}: ${format(row.value)} ${row.unit}${control}${target}`;
}

function describeTarget({ kind, limit }: Target): string {
  return `${kind === "at-most" ? "at most" : "at least"} ${limit}`;
}

function verdictOf(row: Row): string {
  if (row.target?.kind === "inconclusive") return "INCONCLUSIVE";
  return isOk(row) ? "ok" : "MISSED";
}

function format(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toPrecision(4);
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
