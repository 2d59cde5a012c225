/** @module A network namespace and the three ways to act in it: `ip` lines, shell scripts, and this very process. */
import { closeSync, openSync, writeFileSync } from "node:fs";
import koffi from "koffi";

import { execute, executeOrThrow } from "../lab/execute.ts";
import { type IpBatch, openIpBatch } from "./ip-batch.ts";
import { openShell, type Shell } from "./shell.ts";

export interface Namespace {
  /** As `ip netns` knows it. */
  readonly name: string;
  /** Put before an argv, runs the program inside. */
  readonly enter: readonly string[];
  /** Runs lines of `ip`, in order, without a process for each ("addr add 10.0.0.1/24 dev lan"). */
  ip(...lines: readonly string[]): Promise<void>;
  /** The same as `ip -6`: for lines that name no address, such as "rule add" and "nexthop add". */
  ip6(...lines: readonly string[]): Promise<void>;
  /** Runs a shell script, returns its output (both streams); throws with it when the status is not 0. */
  sh(script: string): Promise<string>;
  /** Writes `/proc/sys/net/NAME`, where NAME has slashes: "ipv4/ip_forward". */
  sysctl(values: Readonly<Record<string, number>>): void;
  /** Calls `act` with this thread inside: what it opens stays inside. It may not await. */
  within<T>(act: () => T): T;
}

const CLONE_NEWNET = 0x40000000;
const setns = koffi.load("libc.so.6").func("int setns(int fd, int type)");

/** Opens a namespace that exists; its helper processes start on first use and end when `close` is called. */
export function openNamespace(name: string): Namespace & { close(): Promise<void> } {
  const path = `/run/netns/${name}`;
  const enter = ["nsenter", `--net=${path}`, "--"];
  let batch: IpBatch | undefined;
  let batch6: IpBatch | undefined;
  let shell: Shell | undefined;
  return {
    name,
    enter,
    ip(...lines) {
      batch ??= openIpBatch(name, []);
      return batch.run(lines);
    },
    ip6(...lines) {
      batch6 ??= openIpBatch(name, ["-6"]);
      return batch6.run(lines);
    },
    sh(script) {
      shell ??= openShell(enter);
      return shell.run(script);
    },
    sysctl(values) {
      withinNamespace(path, () => {
        for (const [key, value] of Object.entries(values)) writeFileSync(`/proc/sys/net/${key}`, String(value));
      });
    },
    within: (act) => withinNamespace(path, act),
    async close() {
      await Promise.all([batch?.close(), batch6?.close(), shell?.close()]);
    },
  };
}

/** Calls `act` with the calling thread in the namespace of `path` (a file of /run/netns or /proc/PID/ns/net). */
export function withinNamespace<T>(path: string, act: () => T): T {
  const home = openSync("/proc/thread-self/ns/net", "r");
  const target = openSync(path, "r");
  try {
    if (setns(target, CLONE_NEWNET) !== 0) throw new Error(`enter ${path}: setns refused (are you root?)`);
    return act();
  } finally {
    // Never go on in the wrong namespace: everything this process opens later would be in it.
    if (setns(home, CLONE_NEWNET) !== 0) process.abort();
    closeSync(target);
    closeSync(home);
  }
}

/** Deletes namespaces of the given names that exist; processes inside keep them alive until they end. */
export async function deleteNamespaces(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  await executeOrThrow(["ip", "-force", "-batch", "-"], { input: names.map((name) => `netns del ${name}\n`).join("") });
}

/** Names of all namespaces made with `ip netns`. */
export async function listNamespaces(): Promise<string[]> {
  const { stdout } = await execute(["ip", "netns", "list"]);
  return stdout.split("\n").flatMap((line) => line.split(" ")[0] || []);
}
