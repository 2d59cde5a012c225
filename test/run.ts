/**
 * @module `npm test`: every tier, one after another, each with its time; ends with a plain `N passed, N failed`.
 *
 * Arguments are the tiers to run ("npm test -- unit attack"); without any, all of them. `--n N` is how often tests repeat
 * that have a count of their own (SPANWIRE_N).
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readLabConfig } from "./lab/config.ts";
import { kubernetesPaths } from "./lab/kubernetes-binaries.ts";
import { runNetnsTier } from "./lab/netns-tier.ts";
import { ensurePrograms, NETWORK_PROGRAMS } from "./lab/programs.ts";
import { progressToStderr } from "./lab/progress.ts";
import { runTier } from "./lab/tier.ts";
import { exitStatus } from "./lab/vm/run.ts";
import { runSteps } from "./step.ts";

interface Counts {
  readonly passed: number;
  readonly failed: number;
}

const TIERS = ["unit", "integration", "attack", "netns"] as const;
type Tier = (typeof TIERS)[number];

const root = join(import.meta.dirname, "..");
const { values, positionals: chosen } = parseArgs({ allowPositionals: true, options: { n: { type: "string" } } });
const unknown = chosen.filter((name) => !TIERS.some((tier) => tier === name));
if (unknown.length > 0) {
  process.stderr.write(`no tier ${unknown.join(", ")}; there are: ${TIERS.join(", ")}\n`);
  process.exit(2);
}

if (values.n !== undefined) {
  if (!/^[1-9]\d*$/.test(values.n)) {
    process.stderr.write(`--n ${values.n}: not a count\n`);
    process.exit(2);
  }
  process.env["SPANWIRE_N"] = values.n;
}

const results = await mkdtemp(join(tmpdir(), "spanwire-test-"));
const totals = { passed: 0, failed: 0 };
for (const tier of TIERS) {
  if (chosen.length > 0 && !chosen.includes(tier)) continue;
  const started = performance.now();
  const counts = await countsOf(tier).catch((error: Error) => {
    process.stderr.write(`${tier}: ${error.message}\n`);
    return { passed: 0, failed: 1 };
  });
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  process.stdout.write(`tier ${tier}: ${counts.passed} passed, ${counts.failed} failed in ${seconds} s\n\n`);
  totals.passed += counts.passed;
  totals.failed += counts.failed;
}
await rm(results, { recursive: true, force: true });

process.stdout.write(`${totals.passed} passed, ${totals.failed} failed\n`);
process.exitCode = totals.failed > 0 ? 1 : 0;

/** Runs one tier and counts its tests; a run that ends badly without a failed test counts as one. */
async function countsOf(tier: Tier): Promise<Counts> {
  const report = join(results, `${tier}.json`);
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`];
  const run = () => (tier === "netns" ? runInNamespaces(reporters) : runHere(tier, reporters));
  const outcome = await runTier(tier, run);
  if (outcome.kind === "skipped") return { passed: 0, failed: 0 };
  const counts = await readReport(report);
  return outcome.value === 0 || counts.failed > 0 ? counts : { ...counts, failed: 1 };
}

async function runHere(tier: Tier, reporters: readonly string[]): Promise<number> {
  // Adapters are tried against the real nft, ip and wireguard-go of this machine.
  if (tier === "integration") {
    await ensurePrograms(NETWORK_PROGRAMS, readLabConfig(), progressToStderr());
    await runTier("building kube-apiserver", () => kubernetesPaths()); // longer than a test may take
  }
  const command = ["vitest", "run", "--project", tier, ...reporters] as const;
  const { failed } = await runSteps([{ name: `vitest ${tier}`, command: [...command], cwd: root }]);
  return failed.length;
}

async function runInNamespaces(reporters: readonly string[]): Promise<number> {
  return exitStatus(await runNetnsTier(reporters, { results, cwd: root }));
}

async function readReport(path: string): Promise<Counts> {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(await readFile(path, "utf8"));
    return { passed: numPassedTests, failed: numFailedTests };
  } catch {
    return { passed: 0, failed: 1 }; // the runner died before it could say anything
  }
}
