import { cp, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { execute } from "../lab/execute.ts";

const CHECKOUT = join(import.meta.dirname, "../..");

interface Manifest {
  readonly folder: string;
  readonly name: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

let manifests: readonly Manifest[];
beforeAll(async () => {
  const { stdout } = await execute(["git", "ls-files", "package.json", "*/package.json"], { cwd: CHECKOUT });
  manifests = await Promise.all(
    stdout
      .trim()
      .split("\n")
      .map(async (path) => ({ ...JSON.parse(await readFile(join(CHECKOUT, path), "utf8")), folder: dirname(path) })),
  );
});

test("every dependency has one exact version, the same in every package", () => {
  const versions = new Map<string, Set<string>>();
  for (const { dependencies, devDependencies } of manifests) {
    for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies })) {
      expect(version, name).toMatch(/^\d+\.\d+\.\d+(-[\w.]+)?$/);
      versions.set(name, (versions.get(name) ?? new Set()).add(version));
    }
  }
  expect([...versions].filter(([, each]) => each.size > 1)).toEqual([]);
});

test("packages depend on each other one way", () => {
  const order = ["proto", "core", "runtime", "hub", "gateway", "cli", "test"];
  const rank = (name: string) => order.indexOf(name.replace("@spanwire/", ""));
  for (const { name, dependencies } of manifests) {
    const inward = Object.keys(dependencies ?? {}).filter((each) => each.startsWith("@spanwire/"));
    expect(
      inward.filter((each) => rank(each) >= rank(name)),
      name,
    ).toEqual([]);
    if (name !== "@spanwire/cli" && name !== "@spanwire/test") {
      expect(inward, name).not.toContain("@spanwire/hub");
      expect(inward, name).not.toContain("@spanwire/gateway");
    }
  }
});

test.each([
  { rule: "noNodejsModules", folder: "services/core", text: 'import { join } from "node:path";\njoin("a");\n' },
  { rule: "noUndeclaredDependencies", folder: "services/core", text: 'import { pino } from "pino";\npino();\n' },
  { rule: "noUndeclaredDependencies", folder: "agents/gateway", text: 'import "@spanwire/hub/main";\n' },
  { rule: "noDefaultExport", folder: "services/hub", text: "export default 1;\n" },
  { rule: "noExplicitAny", folder: "services/hub", text: "export const x: any = 1;\n" },
])("the linter refuses by $rule in $folder", async ({ rule, folder, text }) => {
  const directory = await mkdtemp(join(tmpdir(), "spanwire-lint-"));
  for (const file of ["biome.json", ".gitignore", join(folder, "package.json")]) {
    await cp(join(CHECKOUT, file), join(directory, file));
  }
  await writeFile(join(directory, folder, "x.ts"), text);
  const lint = [join(CHECKOUT, "node_modules/.bin/biome"), "lint", "--colors=off", "."];
  const { status, stderr } = await execute(lint, { cwd: directory });
  expect(stderr).toContain(`${folder}/x.ts`);
  expect(stderr).toContain(rule);
  expect(status).toBe(1);
  await rm(directory, { recursive: true });
});
