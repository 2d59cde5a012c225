import { test } from "vitest";
import { interopCases } from "../contract/interop.ts";
import { createTestNamespace } from "../contract/namespace.ts";
import { openKernel } from "../open-kernel.ts";

for (const { name, run } of interopCases) {
  test.concurrent(`netlink: ${name}`, async () => {
    await using namespace = await createTestNamespace();
    await using kernel = openKernel({ dataplane: { kind: "kernel" }, netns: namespace.path });
    await run(kernel, { stable: "sw0", lanes: ["sw-a0", "sw-a1"] }, namespace);
  });
}
