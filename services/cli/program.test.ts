import type { Command } from "commander";
import { expect, test } from "vitest";
import { createProgram } from "./program.ts";
import { runProgram } from "./run.ts";
import type { Session } from "./session.ts";

const leaves = listLeaves(createProgram(unusedSession()));

test("the commands are these", () => {
  expect(leaves.map(({ path }) => path).join("\n")).toMatchInlineSnapshot(`
    "up
    hub run
    agent run
    agent down
    agent guard
    agent leave
    token create
    token list
    token revoke
    cluster list
    cluster show
    cluster revoke
    cluster delete
    cluster invite
    cluster invites
    gateway drain
    gateway resume
    link list
    link set
    link remove
    status
    rotate
    rotation status
    rotation history
    rotation abort
    plan
    get
    diff
    apply
    operator create
    operator bearer
    operator list
    operator revoke
    audit tail
    audit export
    audit verify
    backup
    restore
    version
    completion"
  `);
});

test.each(leaves)("$path: help says what it does and shows examples that parse", async ({ path, command }) => {
  expect(command.description()).not.toBe("");
  const help = (await run([...path.split(" "), "--help"])).out;
  expect(help).toContain(`Usage: spanwire ${path}`);
  const lines = [...help.matchAll(/^ {2}spanwire (.*)$/gm)].map(([, line = ""]) => line);
  expect(
    lines.filter((line) => line.startsWith(path)),
    help,
  ).not.toEqual([]);
  for (const line of lines) await parse(line);
});

test("the top help documents every exit code", async () => {
  const { code, out } = await run(["--help"]);
  expect(code).toBe(0);
  for (const each of [0, 1, 2, 3, 4, 5]) expect(out).toMatch(new RegExp(`^ {2}${each} {2}\\w`, "m"));
});

test.each([
  { args: ["statsu"], want: "Did you mean status?" },
  { args: ["cluster", "lst"], want: "Did you mean list?" },
  { args: ["link", "set", "--dry-rum"], want: "Did you mean --dry-run?" },
  { args: ["cluster", "show"], want: "missing required argument 'cluster'" },
  { args: ["status", "-o", "xml"], want: "Allowed choices are table, json, yaml" },
  { args: ["token", "revoke", "eu"], want: "see: spanwire token list" },
  { args: ["audit", "tail", "--last", "0"], want: "from 1 to 10000" },
  { args: ["audit", "export", "--format", "xml"], want: "Allowed choices are ocsf, ecs, json" },
  { args: ["link", "set"], want: "name a link or give --default" },
  { args: ["up", "--fleet-port", "99999"], want: "from 0 to 65535" },
  { args: ["agent", "run", "--label", "hub"], want: 'write a label as in "role=hub"' },
])("$args is wrong usage, and is told $want", async ({ args, want }) => {
  expect(await run(args)).toMatchObject({ code: 2, note: expect.stringContaining(want) });
});

function listLeaves(command: Command, path = ""): readonly { readonly path: string; readonly command: Command }[] {
  return command.commands
    .filter((each) => !each.name().startsWith("__"))
    .flatMap((each) => {
      const name = `${path} ${each.name()}`.trim();
      return each.commands.length > 0 ? listLeaves(each, name) : [{ path: name, command: each }];
    });
}

/** Parses an example as a shell would hand it over, doing nothing. */
async function parse(line: string): Promise<void> {
  const program = createProgram(unusedSession()).exitOverride();
  for (const { command } of listLeaves(program)) command.exitOverride().action(() => undefined);
  const [beforeShell = ""] = line.split(/ (?:[|>#]|&&) ?/);
  const words = [...beforeShell.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain ?? "");
  await program.parseAsync(words, { from: "user" });
}

async function run(args: readonly string[]) {
  let out = "";
  let note = "";
  const session = { ...unusedSession(), out: (text: string) => (out += text), note: (text: string) => (note += text) };
  const code = await runProgram(args, session as Session);
  return { code, out, note };
}

/** For what needs no hub: asking for one is a fault of the test. */
function unusedSession(): Session {
  const refuse = () => Promise.reject(new Error("no hub here"));
  return {
    out: () => undefined,
    note: () => undefined,
    exitWith: () => undefined,
    now: () => 0,
    signal: new AbortController().signal,
    context: refuse,
    fleet: refuse,
  };
}
