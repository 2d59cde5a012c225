/** @module Many real agents in one process, each with a NATS connection, a state directory and a fake kernel of its own. */
import type { Verify } from "@spanwire/core/records/crypto";
import type { Agent } from "@spanwire/gateway/agent";
import type { AgentState } from "@spanwire/gateway/agent-options";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { CountingKernel, type CountingOptions } from "./counting-kernel.ts";
import type { MemberUser } from "./member-user.ts";
import { type AgentsFrame, openAgent, runAgent } from "./open-agent.ts";
import { startProfile } from "./profiler.ts";
import { type Round, type RoundMeter, startRound } from "./round.ts";
import { serveParent } from "./serve-parent.ts";

export interface AgentsOptions extends AgentsFrame, CountingOptions {
  readonly users: readonly MemberUser[];
  /** Take the signatures of the prepared map as read: a crowd of agents would spend minutes on verifying it. */
  readonly trustStored: boolean;
}

const stop = new AbortController();
const agents: { readonly agent: Agent; readonly kernel: CountingKernel }[] = [];
const realVerify = createVerify();
let isTrusting = false;
const verify: Verify = (publicKey, message, signature) => isTrusting || realVerify(publicKey, message, signature);
let endProfile: Awaited<ReturnType<typeof startProfile>> | undefined;
/** Of agents that end with a bug. */
const failures: Promise<never>[] = [];
let armed: RoundMeter | undefined;

const handlers = {
  /** Resolves when each has programmed its kernel; connecting goes on. */
  async start(options: AgentsOptions): Promise<void> {
    isTrusting = options.trustStored;
    for (const user of options.users) await startAgent(user, options);
    isTrusting = false;
  },
  states(): readonly Pick<AgentState, "connected" | "kernelWrites" | "reconciles">[] {
    return agents.map(({ agent }) => agent.state);
  },
  async startProfile(): Promise<void> {
    endProfile = await startProfile();
  },
  async endProfile(file: string): Promise<void> {
    await endProfile?.(file);
  },
  writes(): number {
    return agents.reduce((sum, { kernel }) => sum + kernel.writes, 0);
  },
  /** The next write to each kernel counts. */
  arm(): void {
    const round = startRound(agents.length);
    for (const { kernel } of agents) {
      kernel.onWrite = (atMs) => {
        kernel.onWrite = undefined;
        round.note(atMs);
      };
    }
    armed = round;
  },
  /** When each kernel had it. */
  finish(): Promise<Round> {
    if (armed === undefined) throw new Error("not armed");
    return Promise.race([armed.done, ...failures]);
  },
};

export type AgentsProgram = typeof handlers;

async function startAgent(user: MemberUser, frame: AgentsOptions): Promise<void> {
  const kernel = new CountingKernel(frame);
  const agent = await openAgent(user, frame, { kernel, verify, signal: stop.signal });
  const { failed } = await runAgent(agent);
  failed.catch(() => {}); // told by the round that waits
  failures.push(failed);
  agents.push({ agent, kernel });
}

serveParent(handlers);
