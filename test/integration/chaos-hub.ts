/** @module A hub that is killed at any moment and started again, as a service manager would. */
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { FleetClient } from "@spanwire/cli/fleet";
import { SpanwireError } from "@spanwire/core/errors";
import { PID_FILE } from "@spanwire/hub/embedded/nats-child";
import { within } from "./chaos-within.ts";
import { type HubProcess, startHubProcess } from "./hub-process.ts";

export interface ChaosHub extends AsyncDisposable {
  /** SIGKILL; it is started again after `downMs`, and after that as often as it does not come up. */
  kill(downMs: number): Promise<void>;
  /** SIGKILL to its nats-server, where one runs. */
  killNats(): Promise<void>;
  /** Asks until there is an answer; throws a refusal. */
  ask<T>(call: (fleet: FleetClient, options: { readonly timeoutMs: number }) => Promise<T>): Promise<T>;
  context(): ReturnType<HubProcess["context"]>;
  /** Resolves when it takes calls, once nobody kills any more. */
  up(): Promise<void>;
}

const CALL_MS = 5_000;
const AGAIN_MS = 50;
const ASK_MS = 30_000;
const START_MS = 30_000;
const STARTS = 10;

/** On ports that stay, because tokens and memberships name them. */
export async function startChaosHub(): Promise<ChaosHub> {
  const [registration, fleet] = [await freePort(), await freePort()];
  const ports = ["--registration-port", `${registration}`, "--fleet-port", `${fleet}`];
  const hub = await startHubProcess(ports);
  let starting: Promise<void> | undefined;
  let isOver = false;

  async function revive(downMs: number): Promise<void> {
    await delay(downMs);
    for (let left = STARTS; !isOver; left--) {
      try {
        return await hub.start();
      } catch (error) {
        if (left === 0) throw error; // a hub or its NATS that was killed while it started is no surprise
      }
    }
  }

  return {
    async kill(downMs) {
      await hub.end("SIGKILL");
      starting ??= revive(downMs).finally(() => {
        starting = undefined;
      });
      starting.catch(() => {}); // `up` tells
    },
    killNats: () => killNats(hub),
    context: () => hub.context(),
    async ask(call) {
      const deadline = performance.now() + ASK_MS;
      for (;;) {
        try {
          return await call(await hub.fleet(), { timeoutMs: CALL_MS });
        } catch (error) {
          const isAway = error instanceof SpanwireError && error.retryable;
          if (!isAway) throw error;
          if (performance.now() > deadline) throw new Error(`the hub is away: ${hub.output()}`, { cause: error });
        }
        await delay(AGAIN_MS);
      }
    },
    up: async () => within(START_MS, "the hub is up", Promise.resolve(starting), hub.output),
    async [Symbol.asyncDispose]() {
      isOver = true;
      await hub.end("SIGKILL");
      await starting?.catch(() => {});
      await hub.end("SIGKILL");
      await killNats(hub);
      await hub[Symbol.asyncDispose]();
    },
  };
}

/** The pid alone proves nothing: it is ours if it runs in our folder. */
async function killNats({ directory }: HubProcess): Promise<void> {
  const pid = Number(await readFile(join(directory, "nats", PID_FILE), "utf8").catch(() => ""));
  const commandLine = await readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
  if (pid > 1 && commandLine.includes(directory)) process.kill(pid, "SIGKILL");
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("a TCP server has a port");
  return address.port;
}
