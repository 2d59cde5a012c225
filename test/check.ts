/** @module `npm run check`: format, lint, contract, types and unit tests; what to run before every push. */
import { join } from "node:path";
import { writeInclude } from "../proto/include.ts";
import { runSteps } from "./step.ts";

const root = join(import.meta.dirname, "..");
const proto = join(root, "proto");

const AGAINST_RELEASE = [
  "--against",
  "released.binpb",
  "--config",
  '{"version":"v1","breaking":{"use":["WIRE_JSON"]}}',
];
const image = join(writeInclude(), "current.binpb");

const started = performance.now();
const { failed } = await runSteps([
  { name: "format and lint", command: ["biome", "ci", "--colors=off", "."], cwd: root },
  { name: "contract: lint", command: ["buf", "lint"], cwd: proto },
  { name: "contract: generated code", command: ["node", "generate.ts", "--check"], cwd: proto },
  { name: "contract: image", command: ["buf", "build", "--exclude-source-info", "-o", image], cwd: proto },
  // buf compares images, because the workspace has a second module, the include folder, that no release has.
  { name: "contract: breaking changes", command: ["buf", "breaking", image, ...AGAINST_RELEASE], cwd: proto },
  { name: "types", command: ["tsc", "--noEmit"], cwd: root },
  { name: "unit tests", command: ["vitest", "run", "--project", "unit", "--reporter", "dot"], cwd: root },
]);
const seconds = ((performance.now() - started) / 1000).toFixed(1);
process.stdout.write(failed.length > 0 ? `check failed: ${failed.join(", ")}\n` : `check: ok in ${seconds} s\n`);
process.exitCode = failed.length > 0 ? 1 : 0;
