/**
 * @module A process of its own for tests: `node child.ts PLAN`, PLAN as JSON {kernel: options of openKernel, changes}.
 * Applies the changes in the namespace that it runs in and ends, or waits to be killed with `wait`.
 */

import { missingNetAdmin, readOwnStatus } from "../capability.ts";
import { applyChange, type Change } from "../change.ts";
import { type KernelOptions, openKernel } from "../open-kernel.ts";

export interface ChildPlan {
  readonly kernel: KernelOptions;
  /** Without secrets: they have no JSON form. */
  readonly changes: readonly Change[];
  readonly wait: boolean;
}

const plan = JSON.parse(process.argv[2] ?? "") as ChildPlan;
const missing = missingNetAdmin(readOwnStatus());
if (missing !== undefined) throw new Error(missing);
await using kernel = openKernel(plan.kernel);
for (const change of plan.changes) await applyChange(kernel, change);
process.stdout.write("done\n");
if (plan.wait) await new Promise((resolve) => setTimeout(resolve, 2 ** 31 - 1));
