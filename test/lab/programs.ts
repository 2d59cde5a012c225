/** @module System programs the lab needs and the Debian packages that hold them. */
import { access, constants } from "node:fs/promises";
import { join } from "node:path";

import type { LabConfig } from "./config.ts";
import { execute, lastLines } from "./execute.ts";
import type { Progress } from "./progress.ts";
import { Unavailable } from "./unavailable.ts";

/** Debian package for each program. */
const PACKAGE_OF = {
  bash: "bash",
  busybox: "busybox-static",
  cpio: "cpio",
  depmod: "kmod",
  fish: "fish",
  ip: "iproute2",
  nft: "nftables",
  ping: "iputils-ping",
  pip3: "python3-pip",
  "qemu-system-x86_64": "qemu-system-x86",
  systemctl: "systemd",
  tcpdump: "tcpdump",
  wg: "wireguard-tools",
  "wireguard-go": "wireguard-go",
  zsh: "zsh",
} as const;

export type Program = keyof typeof PACKAGE_OF;

/** What building and testing sites in network namespaces needs, on the host as in the VM. */
export const NETWORK_PROGRAMS: readonly Program[] = ["ip", "nft", "ping", "tcpdump", "wg"];

// A user's PATH often lacks the two sbin directories, where Debian keeps `ip`, `nft` and `depmod`.
const SEARCH = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** Returns the path of `name`, or undefined. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const directory of SEARCH) {
    const path = join(directory, name);
    if (await isExecutable(path)) return path;
  }
  return undefined;
}

/**
 * Makes sure that the programs are installed.
 *
 * Installs Debian packages when run as root on a system that has apt-get, saying so first; throws `Unavailable` with the
 * line to run otherwise, and where `SPANWIRE_NO_INSTALL=1` forbids it.
 */
export async function ensurePrograms(
  programs: readonly Program[],
  config: LabConfig,
  progress: Progress,
): Promise<void> {
  const missing: Program[] = [];
  for (const program of programs) if ((await findProgram(program)) === undefined) missing.push(program);
  if (missing.length === 0) return;

  const packages = [...new Set(missing.map((program) => PACKAGE_OF[program]))];
  const line = `apt-get install -y --no-install-recommends ${packages.join(" ")}`;
  if ((await findProgram("apt-get")) === undefined) {
    throw new Unavailable(`${missing.join(", ")} not found; install the equivalents of Debian's ${packages.join(" ")}`);
  }
  if (!config.mayInstall) throw new Unavailable(`${missing.join(", ")} not found, SPANWIRE_NO_INSTALL is set: ${line}`);
  if (process.getuid?.() !== 0) throw new Unavailable(`${missing.join(", ")} not found; run as root: ${line}`);

  progress(`system packages: ${line}`);
  await installPackages(line.split(" "), progress);
}

/** Downloads one package into `directory` without installing it. */
export async function downloadPackage(name: string, directory: string, progress: Progress): Promise<void> {
  await withFreshLists(["apt-get", "download", name], progress, directory);
}

async function installPackages(argv: readonly string[], progress: Progress): Promise<void> {
  const [apt = "", ...rest] = argv;
  // Another apt may be at work (unattended upgrades, a second test run): wait for it.
  await withFreshLists([apt, "-o", "DPkg::Lock::Timeout=300", ...rest], progress);
}

/**
 * Runs an apt command; when it fails, once more after `apt-get update`: lists are absent in images and age elsewhere.
 * One process of ours at a time, because apt gives up when another one is updating the lists.
 */
async function withFreshLists(argv: readonly string[], progress: Progress, cwd?: string): Promise<void> {
  const options = { env: { DEBIAN_FRONTEND: "noninteractive" }, ...(cwd === undefined ? {} : { cwd }) };
  if ((await execute(argv, options)).status === 0) return;
  progress("apt-get update");
  const inTurn = ["flock", "--close", "/var/lib/apt", "sh", "-c", 'apt-get update; "$@"', "sh"];
  const second = await execute([...inTurn, ...argv], options);
  if (second.status !== 0) throw new Unavailable(`${argv.join(" ")}: ${lastLines(second.stderr, 4)}`);
}

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
