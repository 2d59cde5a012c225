/** @module Whether QEMU may use the processor's own virtualisation here. */
import { access, constants, readFile, rename, writeFile } from "node:fs/promises";

import type { LabConfig } from "../config.ts";
import { execute } from "../execute.ts";
import type { VmImage } from "./image.ts";

const TCG = "tcg,thread=multi";
const BOOT_LIMIT_SECONDS = 15;

/**
 * Returns QEMU's `-accel`: kvm where a kernel really boots with it, else tcg.
 *
 * Having /dev/kvm is not enough: under some hypervisors it opens, makes a VM, and never gets past the boot loader [seen].
 * So it is tried once for each image, on the initrd's own failure: without its arguments the first process ends and the
 * kernel panics, which with `panic=-1` ends QEMU at once.
 */
export async function accelerator(image: VmImage, config: LabConfig): Promise<string> {
  if (config.accelerator !== undefined) return config.accelerator === "kvm" ? "kvm" : TCG;
  if (!(await canOpenKvm())) return TCG;
  const verdict = `${image.initrd}.kvm`;
  const known = await readFile(verdict, "utf8").catch(() => undefined);
  const works = known === undefined ? await bootsWithKvm(image) : known === "yes";
  if (known === undefined) {
    await writeFile(`${verdict}.${process.pid}`, works ? "yes" : "no");
    await rename(`${verdict}.${process.pid}`, verdict);
  }
  return works ? "kvm" : TCG;
}

async function canOpenKvm(): Promise<boolean> {
  return access("/dev/kvm", constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
}

async function bootsWithKvm(image: VmImage): Promise<boolean> {
  const qemu = ["qemu-system-x86_64", "-machine", "q35", "-accel", "kvm", "-cpu", "max", "-m", "512"];
  const quiet = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"];
  const kernel = ["-kernel", image.kernel, "-initrd", image.initrd, "-append", "panic=-1"];
  const { status } = await execute(["timeout", "-s", "KILL", String(BOOT_LIMIT_SECONDS), ...qemu, ...quiet, ...kernel]);
  return status === 0;
}
