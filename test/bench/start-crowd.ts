/** @module A crowd in a few processes: agents, or bare subscribers. */
import type { AgentsOptions, AgentsProgram } from "./agents.process.ts";
import type { BareProgram } from "./bare.process.ts";
import { type Child, startChild } from "./child.ts";
import { shares } from "./crowd.ts";
import type { MemberUser } from "./member-user.ts";
import { waitFor } from "./wait-for.ts";

export interface CrowdOptions {
  readonly users: readonly MemberUser[];
  readonly processes: number;
}

const HEAP_MB = 10_000;
const nodeOptions = { nodeOptions: [`--max-old-space-size=${HEAP_MB}`] };

/** Resolves when all have programmed their kernels and are connected; `cleanup` ends them. */
export async function startAgents(
  cleanup: AsyncDisposableStack,
  { users, processes }: CrowdOptions,
  options: Omit<AgentsOptions, "users">,
): Promise<readonly Child<AgentsProgram>[]> {
  const agents = shares(users, processes).map((share) => {
    const child = cleanup.use(startChild<AgentsProgram>("agents.process.ts", nodeOptions));
    return { child, started: child.ask("start", { ...options, users: share }) };
  });
  await Promise.all(agents.map(({ started }) => started));
  const children = agents.map(({ child }) => child);
  await waitFor(async () => {
    const states = await Promise.all(children.map((child) => child.ask("states")));
    return states.flat().every(({ connected }) => connected);
  });
  return children;
}

/** Resolves when all have subscribed; `cleanup` ends them. */
export async function startBare(
  cleanup: AsyncDisposableStack,
  { users, processes }: CrowdOptions,
): Promise<readonly Child<BareProgram>[]> {
  const started = shares(users, processes).map(async (share) => {
    const child = cleanup.use(startChild<BareProgram>("bare.process.ts", nodeOptions));
    await child.ask("connect", share);
    return child;
  });
  return Promise.all(started);
}
