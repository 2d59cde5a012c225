/** @module The kernel VM's image: Debian's kernel and an initrd that boots it into the host's own files. */
import { chmod, copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { arch } from "node:os";
import { basename, join } from "node:path";

import { cached } from "../cached.ts";
import { type LabConfig, readLabConfig } from "../config.ts";
import { execute, executeOrThrow } from "../execute.ts";
import { downloadPackage, ensurePrograms, findProgram, NETWORK_PROGRAMS } from "../programs.ts";
import { type Progress, progressToStderr } from "../progress.ts";
import { Unavailable } from "../unavailable.ts";
import { MODULES } from "./modules.ts";

export interface VmImage {
  readonly kernel: string;
  readonly initrd: string;
  /** "6.1.0-56-amd64" */
  readonly release: string;
}

const INIT = join(import.meta.dirname, "init.sh");
const RECIPE_VERSION = 1;

/**
 * Returns the VM's image, making it first when it is not there (10 s); throws `Unavailable` when this machine cannot.
 *
 * Debian's full kernel, because the cloud flavour lacks 9p. The kernel package is unpacked, never installed.
 */
export async function ensureVm(
  config: LabConfig = readLabConfig(),
  progress: Progress = progressToStderr(),
): Promise<VmImage> {
  if (arch() !== "x64") throw new Unavailable(`kernel VM: made for x86-64 only, this is ${arch()}`);
  await ensurePrograms([...NETWORK_PROGRAMS, "qemu-system-x86_64", "busybox", "cpio", "depmod"], config, progress);
  const recipe = { version: RECIPE_VERSION, modules: MODULES, init: await readFile(INIT, "utf8") };
  if ((await execute(["ldd", await path("busybox")])).status === 0) {
    throw new Unavailable("kernel VM: busybox is not statically linked: apt-get install busybox-static");
  }
  const directory = await cached({ name: "vm", recipe, build }, config, progress);

  const kernel = (await readdir(directory)).find((name) => name.startsWith("vmlinuz-"));
  if (kernel === undefined) throw new Error(`kernel VM: no kernel in ${directory}; delete it and try again`);
  return {
    kernel: join(directory, kernel),
    initrd: join(directory, "initrd"),
    release: kernel.slice("vmlinuz-".length),
  };
}

async function build(directory: string, progress: Progress): Promise<void> {
  const packageName = await kernelPackage();
  progress(`kernel VM: downloading ${packageName}`);
  await downloadPackage(packageName, directory, progress);
  const archive = (await readdir(directory)).find((name) => name.endsWith(".deb")) ?? "";
  const tree = join(directory, "tree");
  await executeOrThrow(["dpkg", "-x", join(directory, archive), tree]);

  const [release = ""] = await readdir(join(tree, "lib/modules"));
  progress(`kernel VM: making the initrd of ${release}`);
  await executeOrThrow([await path("depmod"), "-b", tree, release]);
  await makeInitrd(directory, tree, release);
  await rename(join(tree, `boot/vmlinuz-${release}`), join(directory, `vmlinuz-${release}`));
  await rm(tree, { recursive: true });
  await rm(join(directory, archive));
}

/** Returns the package behind the metapackage, "linux-image-6.1.0-56-amd64". */
async function kernelPackage(): Promise<string> {
  const { stdout } = await execute(["apt-cache", "depends", "linux-image-amd64"]);
  const name = /linux-image-\d\S*-amd64/.exec(stdout)?.[0];
  if (name === undefined) {
    throw new Unavailable("kernel VM: no package linux-image-amd64 here (run apt-get update; the VM needs Debian)");
  }
  return name;
}

async function makeInitrd(directory: string, tree: string, release: string): Promise<void> {
  const root = join(directory, "root");
  for (const name of ["bin", "modules", "proc", "sys", "dev", "lower", "upper", "newroot"]) {
    await mkdir(join(root, name), { recursive: true });
  }
  await copyFile(await path("busybox"), join(root, "bin/busybox"));
  await copyFile(INIT, join(root, "init"));
  await chmod(join(root, "init"), 0o755);
  for (const [index, file] of (await moduleFiles(tree, release)).entries()) {
    const target = join(root, "modules", `${String(index).padStart(3, "0")}-${basename(file)}`);
    await copyFile(file, target);
    if (file.endsWith(".xz")) await executeOrThrow(["xz", "--decompress", target]);
  }
  const list = (await executeOrThrow(["find", "."], { cwd: root })).trim();
  await writeFile(join(directory, "list"), list);
  await executeOrThrow(["sh", "-c", `${await path("cpio")} -o -H newc --quiet < ../list | gzip -1 > ../initrd`], {
    cwd: root,
  });
  await rm(root, { recursive: true });
  await rm(join(directory, "list"));
}

/** Returns the files to load, each after those it needs. */
async function moduleFiles(tree: string, release: string): Promise<string[]> {
  const files = new Set<string>();
  for (const module of MODULES) {
    const shown = await execute(["modprobe", "-S", release, "-d", tree, "--show-depends", module]);
    for (const [, file] of shown.stdout.matchAll(/^insmod (\S+)/gm)) if (file !== undefined) files.add(file);
  }
  return [...files];
}

async function path(program: "busybox" | "cpio" | "depmod"): Promise<string> {
  const found = await findProgram(program);
  if (found === undefined) throw new Unavailable(`kernel VM: ${program} not found`);
  return found;
}
