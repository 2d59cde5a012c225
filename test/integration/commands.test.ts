import { test } from "vitest";
import { execute } from "../lab/execute.ts";
import { CHECKOUT } from "../lab/vm/run.ts";
import { shownCommand } from "./readmes.ts";

const npm = (...args: readonly string[]) => execute(["npm", ...args], { cwd: CHECKOUT });
const shell = (line: string) => execute(["sh", "-c", line], { cwd: CHECKOUT });

test.concurrent("npm test refuses a tier that there is not, and says which there are", async ({ expect }) => {
  const refused = await npm("--silent", "test", "--", "no-such-tier");
  expect(refused).toMatchObject({ status: 2, stderr: expect.stringContaining("there are: unit, integration") });
  const often = await npm("--silent", "test", "--", "unit", "--n", "often");
  expect(often).toMatchObject({ status: 2, stderr: expect.stringContaining("not a count") });
});

test.concurrent("npm run bench measures, with its environment, and says so on its last line", async ({ expect }) => {
  const small = "fanout --agents 5 --pairs 1 --processes 1 --json";
  const { stdout, stderr } = await shell((await shownCommand("npm run bench")).replace("NAME", small));
  const measured = JSON.parse(stdout.trimEnd().split("\n").at(-1) ?? "");
  expect(measured, stderr).toMatchObject({ bench: "fanout", environment: { node: process.versions.node } });
  for (const row of measured.rows) expect(row).toMatchObject({ name: expect.any(String), unit: expect.any(String) });
});

test.concurrent("npm run chaos repeats a seed", async ({ expect }) => {
  const { status, stdout } = await shell((await shownCommand("npm run chaos")).replace("--n 1000", "--n 1"));
  expect(status, stdout).toBe(0);
  expect(stdout).toContain("SPANWIRE_SEED=7");
});
