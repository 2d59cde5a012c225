/**
 * @module `npm run generate`: writes gen/ from the .proto files, offline. With `--check` it writes beside the tree and
 * fails when gen/ is not what the .proto files say.
 */
import { spawnSync } from "node:child_process";
import { cpSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeInclude } from "./include.ts";

const protoDir = import.meta.dirname;
const { values } = parseArgs({ options: { check: { type: "boolean", default: false } } });

const scratch = join(writeInclude(), "generated");
rmSync(scratch, { recursive: true, force: true });
run(join(protoDir, "../node_modules/.bin/buf"), "generate", "--output", scratch);
if (values.check) {
  run("diff", "--recursive", "--brief", join(protoDir, "gen"), join(scratch, "gen"));
} else {
  rmSync(join(protoDir, "gen"), { recursive: true, force: true });
  cpSync(join(scratch, "gen"), join(protoDir, "gen"), { recursive: true });
}

function run(file: string, ...args: string[]): void {
  const { status } = spawnSync(file, args, { cwd: protoDir, stdio: "inherit" });
  if (status === 0) return;
  process.stderr.write(`${file} ${args[0]} failed; after a change of the contract run: npm run generate\n`);
  process.exit(1);
}
