/** @module `npm run generate`: writes gen/ from the .proto files, offline. */
import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { writeInclude } from "./include.ts";

writeInclude();
rmSync(join(import.meta.dirname, "gen"), { recursive: true, force: true });
const buf = join(import.meta.dirname, "../node_modules/.bin/buf");
const result = spawnSync(buf, ["generate"], { cwd: import.meta.dirname, stdio: "inherit" });
process.exitCode = result.status ?? 1;
