/**
 * @module `npm run chaos -- [--n RUNS] [--seed SEED] [--kernel]`: kills at random moments, as often as wanted.
 *
 * On the fake kernel, or with --kernel on a real one (this machine's, or the lab VM's).
 */
import { parseArgs } from "node:util";
import { runNetnsTier } from "../lab/netns-tier.ts";
import { exitStatus } from "../lab/vm/run.ts";
import { runSteps } from "../step.ts";

const { values } = parseArgs({
  options: {
    n: { type: "string" },
    seed: { type: "string" },
    kernel: { type: "boolean", default: false },
  },
});
if (values.n !== undefined) process.env["SPANWIRE_N"] = values.n;
if (values.seed !== undefined) process.env["SPANWIRE_SEED"] = values.seed;
if (values.kernel) {
  const timeoutMs = 300_000 + 60_000 * Number(values.n ?? 10);
  process.exitCode = exitStatus(await runNetnsTier(["test/netns/chaos.test.ts"], { timeoutMs }));
} else {
  const command = ["vitest", "run", "--project", "integration", "test/integration/chaos.test.ts"] as const;
  const { failed } = await runSteps([{ name: "chaos", command: [...command] }]);
  process.exitCode = failed.length;
}
