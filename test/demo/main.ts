/**
 * @module `npm run demo [-- --json] [--keep] [--dataplane kernel|userspace]`: the main job on real input. Installs what
 * it needs, then runs where WireGuard is: on this kernel, in the lab's VM, or with wireguard-go where asked to.
 * `npm run demo -- --end` ends what `--keep` left running.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { readLabConfig } from "../lab/config.ts";
import { natsServerPath } from "../lab/nats-server.ts";
import { ensurePrograms, NETWORK_PROGRAMS } from "../lab/programs.ts";
import { progressToStderr } from "../lab/progress.ts";
import { Unavailable } from "../lab/unavailable.ts";
import { exitStatus } from "../lab/vm/run.ts";
import { kernelHasWireGuard, runWhereWireGuardIs, whereWireGuardIs } from "../lab/where-wireguard-is.ts";
import { wireguardGoPath } from "../lab/wireguard-go.ts";
import { runCommand, runSteps } from "../step.ts";
import { endKept, listKept } from "./kept.ts";

const LIMIT_MS = 10 * 60_000;

const { values } = parseArgs({
  options: {
    dataplane: { type: "string", default: "kernel" },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    end: { type: "boolean", default: false },
  },
});
if (values.dataplane !== "kernel" && values.dataplane !== "userspace") {
  process.stderr.write(`no dataplane "${values.dataplane}"; there are: kernel, userspace\n`);
  process.exit(2);
}

const root = join(import.meta.dirname, "../..");
const command = ["node", "test/demo/inside.ts", ...process.argv.slice(2)] as const;
try {
  process.exitCode = values.end ? await end() : await run();
} catch (error) {
  if (!(error instanceof Unavailable)) throw error;
  process.stderr.write(`demo: ${error.message}\n`);
  if (values.dataplane === "kernel")
    process.stderr.write("without kernel WireGuard: npm run demo -- --dataplane userspace\n");
  process.exitCode = 1;
}

async function run(): Promise<number> {
  if (values.keep && (await listKept()).length > 0) {
    process.stderr.write("--keep: a demo is running already; end it with: npm run demo -- --end\n");
    return 2;
  }
  await ensurePrograms(NETWORK_PROGRAMS, readLabConfig(), progressToStderr());
  await natsServerPath();
  if (values.dataplane === "userspace") await wireguardGoPath();
  const inVm = values.dataplane === "kernel" && !(await kernelHasWireGuard());
  if (inVm && values.keep) {
    process.stderr.write(
      "--keep: this kernel has no WireGuard, and the VM ends with the demo; add --dataplane userspace\n",
    );
    return 2;
  }
  const { failed } = await runSteps([{ name: "build", command: ["node", "services/cli/build.ts"], cwd: root }]);
  if (failed.length > 0) return 1;

  const where = values.dataplane === "kernel" ? await whereWireGuardIs() : "this kernel";
  const who = values.dataplane === "kernel" ? "kernel WireGuard" : "wireguard-go in userspace";
  process.stdout.write(`dataplane: ${who}, on ${where}\n`);
  // What is kept must be seen from outside: no namespaces around the topology.
  if (values.keep || values.dataplane === "userspace") return runCommand({ command, cwd: root });
  return exitStatus(await runWhereWireGuardIs({ command, cwd: root, timeoutMs: LIMIT_MS }));
}

async function end(): Promise<number> {
  const ended = await endKept();
  process.stdout.write(ended === 0 ? "no demo is running\n" : `ended ${ended} machines\n`);
  return 0;
}
