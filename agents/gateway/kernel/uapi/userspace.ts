/** @module A userspace kernel for one test: lane names of its own, and no process left behind. */
import { randomBytes } from "node:crypto";
import { wireguardGoPath } from "../../../../test/lab/wireguard-go.ts";
import { createTestNamespace } from "../contract/namespace.ts";
import { type KernelOptions, openKernel } from "../open-kernel.ts";
import { DEFAULT_OWNERSHIP } from "../ownership.ts";

/** wireguard-go's sockets lie in one directory for all network namespaces, so every test has lane names of its own. */
export async function createUserspace() {
  const stack = new AsyncDisposableStack();
  const namespace = stack.use(await createTestNamespace());
  const lanePrefix = `t${randomBytes(4).toString("hex")}-`;
  const lanes = [`${lanePrefix}a0`, `${lanePrefix}a1`] as const;
  const options: KernelOptions = {
    dataplane: { kind: "userspace", wireguardGoPath: await wireguardGoPath() },
    ownership: { ...DEFAULT_OWNERSHIP, lanePrefix },
    netns: namespace.path,
  };
  const kernel = stack.use(openKernel(options));
  stack.defer(async () => {
    for (const name of lanes) await kernel.wireguard.apply({ kind: "remove-wireguard-link", name });
  });
  return {
    namespace,
    kernel,
    options,
    names: { stable: "sw0", lanes },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
