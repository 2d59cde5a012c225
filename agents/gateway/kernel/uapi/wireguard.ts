/** @module WireGuardPort for hosts and pods whose kernel has no WireGuard: one wireguard-go process for each device. */
import { rm } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { getSystemErrorMessage } from "node:util";
import type { DeviceChange, WireGuardChange } from "../change.ts";
import { errnoName } from "../errno.ts";
import { kernelError } from "../kernel-error.ts";
import type { Run } from "../namespace.ts";
import type { NetworkPort, ObservedWireGuard, WireGuardPort } from "../port.ts";
import { decodeDevice, decodeErrno } from "./decode.ts";
import { encodeSet } from "./encode.ts";
import { exchange } from "./exchange.ts";
import { startWireGuardGo } from "./start-wireguard-go.ts";

/** Compiled into wireguard-go and `wg`. */
const SOCKET_DIRECTORY = "/var/run/wireguard";
const STOP_TIMEOUT_MS = 5_000;
const STOP_POLL_MS = 10;

export interface UapiOptions {
  readonly wireguardGoPath: string;
  /** Its tun devices are links like others. */
  readonly network: NetworkPort;
  readonly run: Run;
}

export function createUapiWireGuard({ wireguardGoPath, network, run }: UapiOptions): WireGuardPort {
  return {
    observe: readDevice,
    apply: async (change) => {
      switch (change.kind) {
        case "add-wireguard-link":
          if (!(await isAnswering(change.name))) await startWireGuardGo(wireguardGoPath, change.name, run);
          return network.apply({ kind: "set-link", name: change.name, mtuBytes: change.mtuBytes });
        case "remove-wireguard-link":
          await network.apply({ kind: "remove-link", name: change.name });
          return waitUntilStopped(change);
        default:
          return configure(change);
      }
    },
  };
}

async function readDevice(name: string): Promise<ObservedWireGuard | undefined> {
  const answer = await exchange(socketPath(name), Buffer.from("get=1\n\n"));
  if (answer === undefined) return undefined;
  try {
    check(`read device ${name}`, answer);
    return decodeDevice(name, answer);
  } finally {
    answer.fill(0);
  }
}

async function configure(change: DeviceChange): Promise<void> {
  const request = encodeSet(change);
  try {
    const answer = await exchange(socketPath(change.device), request);
    if (answer === undefined) throw kernelError(change, "ENODEV", "no wireguard-go runs for this device");
    check(change, answer);
  } finally {
    request.fill(0);
  }
}

/** The process ends when its device goes; a socket that it leaves behind would answer nobody. */
async function waitUntilStopped(change: Extract<WireGuardChange, { kind: "remove-wireguard-link" }>): Promise<void> {
  for (let waitedMs = 0; await isAnswering(change.name); waitedMs += STOP_POLL_MS) {
    if (waitedMs > STOP_TIMEOUT_MS) throw kernelError(change, "EBUSY", "wireguard-go goes on without its device");
    await sleep(STOP_POLL_MS);
  }
  await rm(socketPath(change.name), { force: true });
}

async function isAnswering(name: string): Promise<boolean> {
  const answer = await exchange(socketPath(name), Buffer.from("get=1\n\n"));
  answer?.fill(0);
  return answer !== undefined && answer.length > 0;
}

function check(doing: string | WireGuardChange, answer: Buffer): void {
  const errno = decodeErrno(answer);
  if (errno === 0) return;
  if (errno === undefined) throw kernelError(doing, "EPIPE", "wireguard-go closed the connection without an answer");
  const said = errno === -98 ? "the UDP port is in use by another program" : getSystemErrorMessage(errno);
  throw kernelError(doing, errnoName(-errno), said ?? "wireguard-go refused");
}

function socketPath(name: string): string {
  return `${SOCKET_DIRECTORY}/${name}.sock`;
}
