/**
 * @module A machine run by systemd inside the lab's VM: process, mount and network namespaces of its own.
 *
 * Its disk is the VM's, whose writes are thrown away. Of units it has Debian's targets, Debian's nftables.service, a
 * stand-in for what brings a network up, and what a test installs: with all others a boot takes minutes there.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { cp, mkdir, mkdtemp, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { eventually } from "../demo/eventually.ts";
import { dieWithParent } from "../lab/die-with-parent.ts";
import { openShell, type Shell } from "./shell.ts";

export interface SystemdHost extends AsyncDisposable {
  /** Runs a shell script as root on that host and returns its output; throws with it when the status is not 0. */
  sh(script: string): Promise<string>;
  /** Cuts the power and starts again: the disk stays; processes, the network's state and /run are new. */
  reboot(): Promise<void>;
}

/** What `lab-network.service` found of firewall and routes before it made the first device. */
export const BEFORE_NETWORK = "/run/before-network";

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LIBRARY = "/lib/systemd/system";
const LOADED = ["multi-user", "basic", "sysinit", "local-fs", "network-pre", "network", "network-online", "shutdown"];
const BOOT = { timeoutMs: 180_000, intervalMs: 200 };

/** Whether this is the lab's VM, whose files are thrown away: nowhere else may a test install units and users. */
export function isLabVm(): boolean {
  return readFileSync("/proc/cmdline", "utf8").includes("spanwire.entry=");
}

/** Boots it, with an empty /etc/systemd/system; returns when its network is up. */
export async function startSystemdHost(): Promise<SystemdHost> {
  const directory = await mkdtemp(join(tmpdir(), "spanwire-systemd-"));
  const own = await writeUnits(directory);
  let machine = await boot(directory, own);
  return {
    sh: (script) => machine.shell.run(script),
    async reboot() {
      await cutPower(machine);
      machine = await boot(directory, own);
    },
    [Symbol.asyncDispose]: () => cutPower(machine),
  };
}

/** Writes what the machine has before a test installs anything; returns its folder. */
async function writeUnits(directory: string): Promise<string> {
  const own = join(directory, "own");
  const wanted = { "sysinit.target.wants": "nftables.service", "multi-user.target.wants": "lab-network.service" };
  await mkdir(join(directory, "installed"));
  for (const folder of ["service.d", ...Object.keys(wanted)]) await mkdir(join(own, folder), { recursive: true });
  const debian = [...LOADED.map((name) => `${name}.target`), "nftables.service"];
  for (const name of debian) await cp(join(LIBRARY, name), join(own, name));
  for (const [folder, name] of Object.entries(wanted)) await symlink(`../${name}`, join(own, folder, name));
  // There is no journal.
  await writeFile(
    join(own, "service.d/log.conf"),
    "[Service]\nStandardOutput=append:/run/%n.log\nStandardError=inherit\n",
  );
  await writeFile(join(own, "lab-network.service"), NETWORK_UNIT.replace("SCRIPT", join(directory, "network.sh")));
  await writeFile(join(directory, "network.sh"), NETWORK_SCRIPT);
  await writeFile("/etc/nftables.conf", "flush ruleset\ntable inet other {\n}\n");
  return own;
}

const NETWORK_UNIT = `
[Unit]
After=network-pre.target
Before=network.target
Wants=network.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -e SCRIPT
`;

const NETWORK_SCRIPT = `
{ nft list tables; ip route show table 5180 || true; } >${BEFORE_NETWORK} 2>&1
ip link add lan0 address 02:00:00:00:00:01 type dummy
ip link set lan0 addrgenmode none up
ip addr add 192.0.2.10/24 dev lan0
ip rule add fwmark 7 lookup 100 priority 5181
`;

interface Machine {
  readonly shell: Shell;
  /** Its first process ends with this one. */
  readonly outer: ChildProcess;
  readonly firstPid: string;
}

async function boot(directory: string, own: string): Promise<Machine> {
  const script = `
    mount -t sysfs sysfs /sys && mount -t cgroup2 cgroup2 /sys/fs/cgroup && mount -t tmpfs tmpfs /run &&
    mount -t tmpfs tmpfs /lib/systemd/system-generators && mount --bind ${directory}/installed /etc/systemd/system &&
    exec env -i PATH=${PATH} container=lab SYSTEMD_UNIT_PATH=/etc/systemd/system:${own} \
      /lib/systemd/systemd --system --unit=multi-user.target --show-status=no --log-target=console`;
  const namespaces = ["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--net", "--uts"];
  const [program = "", ...args] = await dieWithParent(["unshare", ...namespaces, "--", "sh", "-c", script]);
  const outer = spawn(program, args, { stdio: "ignore" });
  const firstPid = await eventually("the first process", () => childOf(outer.pid));
  const clean = ["env", "-i", `PATH=${PATH}`, "HOME=/root", "LC_ALL=C"];
  await eventually("systemd", () => existsSync(`/proc/${firstPid}/root/run/systemd/private`), BOOT);
  const shell = openShell(["nsenter", "--target", firstPid, "--mount", "--pid", "--net", "--uts", "--", ...clean]);
  await eventually("its network", () => shell.run("systemctl is-active lab-network"), BOOT).catch(async (error) => {
    throw new Error(`${error.message}\n${await shell.run("systemctl --failed; systemctl list-jobs")}`);
  });
  return { shell, outer, firstPid };
}

function childOf(pid: number | undefined): string | undefined {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim() || undefined;
}

async function cutPower({ shell, outer, firstPid }: Machine): Promise<void> {
  outer.kill("SIGKILL");
  if (outer.exitCode === null && outer.signalCode === null) await once(outer, "exit");
  await shell.close();
  await eventually("the end of its last process", () => !existsSync(`/proc/${firstPid}`), BOOT);
}
