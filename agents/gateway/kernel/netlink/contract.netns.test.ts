import { test } from "vitest";
import { createTestNamespace } from "../contract/namespace.ts";
import { kernelContract } from "../contract.ts";
import { openKernel } from "../open-kernel.ts";

// Each case waits for the kernel most of its time, and has one to itself.
for (const { name, run } of kernelContract())
  test.concurrent(`netlink ${name}`, async () => {
    await using namespace = await createTestNamespace();
    await using kernel = openKernel({ dataplane: { kind: "kernel" }, netns: namespace.path });
    await run(kernel, { stable: "sw0", lanes: ["sw-a0", "sw-a1"] });
  });
