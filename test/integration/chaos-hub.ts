/** @module A hub that is killed at any moment and started again, as a service manager would. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type FleetClient, openFleet } from "@spanwire/cli/fleet";
import { SpanwireError } from "@spanwire/core/errors";
import { PID_FILE } from "@spanwire/hub/embedded/nats-child";
import { within } from "./chaos-within.ts";
import { type HubProcess, startHubProcess } from "./hub-process.ts";

export interface ChaosHub extends AsyncDisposable {
  /** Everything that it and its NATS keep. */
  readonly directory: string;
  /** SIGKILL; it is started again after `downMs`, and after that as often as it does not come up. */
  kill(downMs: number): Promise<void>;
  /** SIGKILL to its nats-server, where one runs. */
  killNats(): Promise<void>;
  /** Kills hub and NATS at once, as a power cut does, calls `act`, and starts them again. */
  whileDown(act: () => Promise<void>): Promise<void>;
  /** Asks until there is an answer; throws a refusal. */
  ask<T>(call: (fleet: FleetClient, options: { readonly timeoutMs: number }) => Promise<T>): Promise<T>;
  context(): ReturnType<HubProcess["context"]>;
  /** Resolves when it takes calls, once nobody kills any more. */
  up(): Promise<void>;
  /** What it has written to standard error in this life. */
  output(): string;
}

const CALL_MS = 5_000;
const AGAIN_MS = 50;
const ASK_MS = 60_000;
const START_MS = 120_000;
const STARTS = 10;

export async function startChaosHub(): Promise<ChaosHub> {
  const hub = await startHubProcess();
  let starting: Promise<void> | undefined;
  let isOver = false;
  let channel: ReturnType<typeof openFleet> | undefined;
  const hangUp = () => {
    channel?.[Symbol.dispose]();
    channel = undefined;
  };

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
    directory: hub.directory,
    async kill(downMs) {
      await hub.end("SIGKILL");
      starting ??= revive(downMs).finally(() => {
        starting = undefined;
      });
      starting.catch(() => {}); // `up` tells
    },
    killNats: () => killNats(hub),
    async whileDown(act) {
      await hub.end("SIGKILL");
      await killNats(hub);
      await act();
      await hub.start();
      hangUp(); // a store that was made anew knows other operators
    },
    context: () => hub.context(),
    async ask(call) {
      const deadline = performance.now() + ASK_MS;
      for (;;) {
        try {
          channel ??= openFleet(await hub.context());
          return await call(channel.client, { timeoutMs: CALL_MS });
        } catch (error) {
          const isAway = error instanceof SpanwireError && error.retryable;
          if (!isAway) throw error;
          hangUp(); // one that could not connect waits longer each time
          if (performance.now() > deadline) throw new Error(`the hub is away: ${hub.output()}`, { cause: error });
        }
        await delay(AGAIN_MS);
      }
    },
    output: hub.output,
    up: async () => within(START_MS, "the hub is up", Promise.resolve(starting), hub.output),
    async [Symbol.asyncDispose]() {
      isOver = true;
      hangUp();
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
