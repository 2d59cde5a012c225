/** @module One agent as it runs alone: everything loaded that the product loads, the kernel elsewhere. */
import "@spanwire/gateway/main";
import { createAgentVerify } from "@spanwire/gateway/agent-verify";
import { returnFreedMemory } from "@spanwire/gateway/kernel/return-freed-memory";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { keepMemorySmall } from "@spanwire/runtime/memory/keep-memory-small";
import type { MemberUser } from "./member-user.ts";
import { type AgentsFrame, openAgent, runAgent } from "./open-agent.ts";
import { openRemoteKernel } from "./remote-kernel.ts";
import { serveParent } from "./serve-parent.ts";

const { signal } = new AbortController(); // for as long as the process lives

const handlers = {
  /** Resolves when it has programmed its kernel. */
  async start(user: MemberUser, frame: AgentsFrame): Promise<void> {
    const agent = await openAgent(user, frame, { kernel: openRemoteKernel(), verify: createAgentVerify(), signal });
    const { failed } = await runAgent(agent);
    failed.catch((error: unknown) => {
      throw error; // the process ends, and the bench with it
    });
  },
};

export type OneAgentProgram = typeof handlers;

// As the product's entry does; the control, which is never started, too.
keepMemorySmall();
void returnFreedMemory(systemClock, signal);
serveParent(handlers);
