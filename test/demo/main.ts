/**
 * @module `npm run demo [-- --json] [--keep] [--dataplane kernel|userspace]`: the main job on real input. Installs what
 * it needs, then runs where WireGuard is: on this kernel, in the lab's VM, or with wireguard-go where asked to.
 */
import { join } from "node:path";
import { parseArgs } from "node:util";
import { natsServerPath } from "../lab/nats-server.ts";
import { exitStatus } from "../lab/vm/run.ts";
import { runWhereWireGuardIs, whereWireGuardIs } from "../lab/where-wireguard-is.ts";
import { wireguardGoPath } from "../lab/wireguard-go.ts";
import { runCommand, runSteps } from "../step.ts";

const LIMIT_MS = 10 * 60_000;

const { values } = parseArgs({
  options: {
    dataplane: { type: "string", default: "kernel" },
    keep: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
  },
});
if (values.dataplane !== "kernel" && values.dataplane !== "userspace") {
  process.stderr.write(`no dataplane "${values.dataplane}"; there are: kernel, userspace\n`);
  process.exit(2);
}

const root = join(import.meta.dirname, "../..");
const { failed } = await runSteps([{ name: "build", command: ["node", "services/cli/build.ts"], cwd: root }]);
if (failed.length > 0) process.exit(1);
await natsServerPath();

const command = ["node", "test/demo/inside.ts", ...process.argv.slice(2)] as const;
if (values.dataplane === "userspace") {
  await wireguardGoPath();
  process.stdout.write("dataplane: wireguard-go in userspace, on this kernel\n");
  process.exitCode = await runCommand({ command: [...command], cwd: root });
} else {
  process.stdout.write(`dataplane: kernel WireGuard, on ${await whereWireGuardIs()}\n`);
  process.exitCode = exitStatus(await runWhereWireGuardIs({ command, cwd: root, timeoutMs: LIMIT_MS }));
}
