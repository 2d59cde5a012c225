/**
 * @module Starts a program of this checkout with the checkout's own Node. Plain JavaScript that Node 20 can read, because
 * in a fresh clone there is nothing else: what is missing is installed first, and that is said.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const node = `${root}node_modules/.bin/node`;

if (!existsSync(node)) {
  if (process.env["SPANWIRE_NO_INSTALL"] === "1") stop("this checkout's packages are missing, run: npm ci");
  process.stderr.write("this checkout's packages are missing, installing them: npm ci\n");
  // Its warnings are about the Node that is here, and none of the packages runs on that.
  const { status } = spawnSync("npm", ["ci", "--loglevel=error"], { cwd: root, stdio: ["ignore", 2, 2] });
  if (status !== 0) stop("npm ci failed: see above");
}

const child = spawn(node, process.argv.slice(2), { stdio: "inherit" });
// A terminal tells the child of Ctrl-C itself.
process.on("SIGINT", () => {});
process.on("SIGTERM", () => child.kill("SIGTERM"));
child.once("exit", (code) => process.exit(code ?? 1));

/** @param {string} message */
function stop(message) {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
