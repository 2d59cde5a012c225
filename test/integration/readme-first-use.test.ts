import { cp, mkdir, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { execute } from "../lab/execute.ts";
import { natsServerPath } from "../lab/nats-server.ts";
import { requireRoot } from "../lab/require-root.ts";
import { runTier } from "../lab/tier.ts";
import { kernelHasWireGuard } from "../lab/where-wireguard-is.ts";
import { wireguardGoPath } from "../lab/wireguard-go.ts";
import type { Namespace } from "../netns/namespace.ts";
import { openShell, type Shell } from "../netns/shell.ts";
import { createTopology } from "../netns/topology.ts";
import { shellBlocks } from "./shell-blocks.ts";

const CHECKOUT = join(import.meta.dirname, "../..");
const LIMIT_MS = 300_000;
const PING_AGAIN = { timeout: 60_000, interval: 1_000 };

test(
  "the first use that the README shows works when it is copied, line by line",
  async () => {
    await runTier("first use of the README", async () => {
      requireRoot();
      await firstUse();
    });
  },
  LIMIT_MS,
);

async function firstUse(): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "spanwire-readme-"));
  await using world = new AsyncDisposableStack();
  world.defer(() => rm(directory, { recursive: true }));
  // The addresses of the README are those of a topology.
  const topology = world.use(await createTopology({ sites: [site("eu"), site("us")] }));
  const machines = new Map<string, Machine>();
  for (const name of ["eu", "us"]) {
    const { gateways, host } = topology.site(name);
    for (const { namespace, underlay } of gateways) machines.set(underlay.ipv4, await open(underlay.ipv4, namespace));
    machines.set(host.address.ipv4, await open(host.address.ipv4, host.namespace));
  }

  const blocks = shellBlocks(await readFile(join(CHECKOUT, "README.md"), "utf8"));
  for (const block of blocks.filter((each) => each.startsWith("# on "))) {
    const address = /^# on (\S+)/.exec(block)?.[1] ?? "";
    const machine = machines.get(address);
    if (machine === undefined) throw new Error(`README: a block does not say on which machine: ${block}`);
    if (block.includes("us.token") && address === "192.0.2.2") {
      await cp(join(directory, "192.0.2.1/us.token"), join(directory, "192.0.2.2/us.token"));
    }
    // Tunnels need a moment: a person would ping again.
    if (block.includes("\nping ")) await expect.poll(() => machine.run(block), PING_AGAIN).toContain(" 0% packet loss");
    else await machine.run(block);
  }
  const revoked = machines.get("10.1.0.100")?.run("ping -c 1 -W 1 10.2.0.100");
  await expect(revoked).rejects.toThrow("100% packet loss");

  async function open(address: string, namespace: Namespace): Promise<Machine> {
    const home = join(directory, address);
    await mkdir(home);
    // Sockets of wireguard-go and the agent's state have one place on a machine: each machine gets its own.
    const shell = openShell([...namespace.enter, "unshare", "--mount", "--"]);
    world.defer(async () => {
      await execute(["sh", "-c", `ip netns pids ${namespace.name} | xargs -r kill -9`]);
      await shell.close();
    });
    await shell.run("mkdir -p /run/wireguard /var/lib/spanwire-agent && mount -t tmpfs tmpfs /run/wireguard");
    await shell.run("mount -t tmpfs tmpfs /var/lib/spanwire-agent");
    return machineOf(shell, home);
  }
}

interface Machine {
  run(script: string): Promise<string>;
}

async function machineOf(shell: Shell, home: string): Promise<Machine> {
  const bin = join(home, "bin");
  await mkdir(bin);
  await symlink(join(CHECKOUT, "services/cli/bin/spanwire"), join(bin, "spanwire"));
  const path = [bin, dirname(await natsServerPath()), dirname(process.execPath), process.env["PATH"]].join(":");
  const exports = [`export HOME=${home} PATH=${path}`];
  // What the README does not say: the kernel that this runs on may have no WireGuard.
  if (!(await kernelHasWireGuard())) {
    exports.push("export SPANWIRE_AGENT_DATAPLANE=userspace");
    exports.push(`export SPANWIRE_AGENT_WIREGUARD_GO=${await wireguardGoPath()}`);
  }
  return { run: (script) => shell.run(["set -e", ...exports, `cd ${home}`, script].join("\n")) };
}

function site(name: string) {
  return { name, gateways: 1 };
}
