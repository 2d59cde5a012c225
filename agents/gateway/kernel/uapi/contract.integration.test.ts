import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { wireguardGoPath } from "../../../../test/lab/wireguard-go.ts";
import { createTestNamespace } from "../contract/namespace.ts";
import { kernelContract } from "../contract.ts";
import { openKernel } from "../open-kernel.ts";
import { DEFAULT_OWNERSHIP } from "../ownership.ts";

/** wireguard-go's sockets lie in one directory for all network namespaces, so every test has lane names of its own. */
function uniqueNames() {
  const lanePrefix = `t${randomBytes(4).toString("hex")}-`;
  return { stable: "sw0", lanePrefix, lanes: [`${lanePrefix}a0`, `${lanePrefix}a1`] as const };
}

for (const { name, run } of kernelContract())
  test(`userspace ${name}`, async () => {
    const wireguardGo = await wireguardGoPath();
    const { stable, lanePrefix, lanes } = uniqueNames();
    await using namespace = await createTestNamespace();
    await using kernel = openKernel({
      dataplane: { kind: "userspace", wireguardGoPath: wireguardGo },
      ownership: { ...DEFAULT_OWNERSHIP, lanePrefix },
      netns: namespace.path,
    });
    try {
      await run(kernel, { stable, lanes });
    } finally {
      for (const name of lanes) await kernel.wireguard.apply({ kind: "remove-wireguard-link", name });
    }
    expect(await namespace.exec("pgrep", "-c", "-f", `wireguard-go ${lanePrefix}`).catch(() => "none")).toBe("none");
  });
