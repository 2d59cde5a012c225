/** @module One life of the VM, from QEMU's start to its end. */
import { spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

import type { LabConfig } from "../config.ts";
import { dieWithParent } from "../die-with-parent.ts";
import { lastLines } from "../execute.ts";
import { accelerator } from "./accelerator.ts";
import { entryScript } from "./entry-script.ts";
import type { VmImage } from "./image.ts";
import type { VmRun } from "./run.ts";

export type VmOutcome =
  /** `console` is what the kernel said, when the command was ended by a signal (128 + n). */
  | { readonly kind: "exited"; readonly status: number; readonly console?: string }
  | { readonly kind: "timed-out"; readonly afterMs: number; readonly console: string }
  | { readonly kind: "died"; readonly console: string };

const CONSOLE_LINES = 60;
/** Statuses above this are signals. */
const SIGNALLED = 128;

/** Boots the image with `run`'s command and waits for the end of the VM. */
export async function boot(image: VmImage, config: LabConfig, run: VmRun): Promise<VmOutcome> {
  // Short: a Unix socket's path has at most 107 bytes.
  const directory = await mkdtemp(join(tmpdir(), "spanwire-vm-"));
  const results = run.results === undefined ? undefined : resolve(run.results);
  if (results !== undefined) await mkdir(results, { recursive: true });
  const ports = await listen(directory, run);
  try {
    await writeFile(join(directory, "entry.sh"), entryScript(config, run));
    const argv = await qemuArguments({ image, config, run, directory, results });
    const ended = await runQemu(argv, run);
    const status = Number.parseInt(await ports.status, 10);
    if (Number.isInteger(status) && status <= SIGNALLED) return { kind: "exited", status };

    const console = await consoleTail(directory);
    if (Number.isInteger(status)) return { kind: "exited", status, console };
    return ended.timedOut
      ? { kind: "timed-out", afterMs: run.timeoutMs, console }
      : { kind: "died", console: `${ended.stderr}\n${console}` };
  } finally {
    for (const server of ports.servers) server.close();
    await rm(directory, { recursive: true, force: true });
  }
}

interface QemuRun {
  readonly image: VmImage;
  readonly config: LabConfig;
  readonly run: VmRun;
  readonly directory: string;
  readonly results: string | undefined;
}

async function qemuArguments({ image, config, run, directory, results }: QemuRun): Promise<string[]> {
  const kernelArguments = [
    ...["console=ttyS0", "loglevel=4", "panic=-1", "oops=panic", "mitigations=off", "random.trust_cpu=on"],
    `spanwire.entry=${join(directory, "entry.sh")}`,
    ...(results === undefined ? [] : [`spanwire.results=${results}`]),
  ];
  const share = (tag: string, path: string, options: string) =>
    `local,path=${path},mount_tag=${tag},security_model=none,multidevs=remap${options}`;
  return [
    ...(await dieWithParent(["qemu-system-x86_64"])),
    ...["-machine", "q35", "-accel", await accelerator(image, config), "-cpu", "max"],
    ...["-smp", String(run.cpus ?? 2), "-m", String(run.memoryMiB ?? 2048)],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none"],
    ...["-kernel", image.kernel, "-initrd", image.initrd, "-append", kernelArguments.join(" ")],
    ...["-serial", `file:${join(directory, "console")}`],
    ...["-object", "rng-random,filename=/dev/urandom,id=rng", "-device", "virtio-rng-pci,rng=rng"],
    ...["-device", "virtio-serial-pci"],
    ...PORTS.flatMap((name, index) => [
      ...["-chardev", `socket,id=${name},path=${join(directory, name)}`],
      ...["-device", `virtserialport,chardev=${name},nr=${index + 1}`],
    ]),
    ...["-virtfs", share("hostroot", "/", ",readonly=on")],
    ...(results === undefined ? [] : ["-virtfs", share("results", results, "")]),
  ];
}

/** The guest's /dev/vport*p1, p2, p3: ports rather than a console, so that output arrives as two plain streams. */
const PORTS = ["stdout", "stderr", "status"] as const;

interface Ports {
  readonly servers: readonly Server[];
  /** What the guest wrote as its exit status, once every port is closed; empty when it died. */
  readonly status: Promise<string>;
}

async function listen(directory: string, run: VmRun): Promise<Ports> {
  const stdout = run.stdout ?? process.stdout;
  const stderr = run.stderr ?? process.stderr;
  const chunks: Buffer[] = [];
  const sinks: Record<(typeof PORTS)[number], (socket: Socket) => void> = {
    stdout: (socket) => void socket.pipe(stdout, { end: false }),
    stderr: (socket) => void socket.pipe(stderr, { end: false }),
    status: (socket) => void socket.on("data", (chunk: Buffer) => chunks.push(chunk)),
  };
  const opened = PORTS.map((name) => {
    const closed = Promise.withResolvers<void>();
    const server = createServer((socket) => {
      sinks[name](socket);
      // QEMU killed in the middle of a write resets the connection: the end all the same.
      socket.on("error", () => undefined);
      socket.on("close", () => closed.resolve());
    });
    const listening = new Promise<void>((resolve) => server.listen(join(directory, name), resolve));
    return { server, closed: closed.promise, listening };
  });
  await Promise.all(opened.map((port) => port.listening));
  return {
    servers: opened.map((port) => port.server),
    status: Promise.all(opened.map((port) => port.closed)).then(() => Buffer.concat(chunks).toString()),
  };
}

async function runQemu(argv: readonly string[], run: VmRun): Promise<{ timedOut: boolean; stderr: string }> {
  const [program = "", ...args] = argv;
  const deadline = AbortSignal.timeout(run.timeoutMs);
  const signal = run.signal === undefined ? deadline : AbortSignal.any([deadline, run.signal]);
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"], signal, killSignal: "SIGKILL" });
  const stderr: Buffer[] = [];
  child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk));
  await new Promise<void>((resolve, reject) => {
    child.on("error", (error) => (error.name === "AbortError" ? undefined : reject(error)));
    child.on("close", () => resolve());
  });
  run.signal?.throwIfAborted();
  return { timedOut: deadline.aborted, stderr: Buffer.concat(stderr).toString() };
}

async function consoleTail(directory: string): Promise<string> {
  const text = await readFile(join(directory, "console"), "utf8").catch(() => "");
  return lastLines(text.replaceAll("\r", ""), CONSOLE_LINES);
}
