import { test } from "vitest";
import { kernelContract } from "../contract.ts";
import { FakeKernel } from "./fake-kernel.ts";

for (const { name, run } of kernelContract())
  test(`fake ${name}`, async () => {
    await run(new FakeKernel(), { stable: "sw0", lanes: ["sw-a0", "sw-a1"] });
  });
