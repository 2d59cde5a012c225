import { test } from "vitest";
import { kernelContract } from "../contract.ts";
import { FakeKernel } from "./fake-kernel.ts";

test.each(kernelContract())("fake $name", async ({ run }) => {
  await run(new FakeKernel(), { stable: "sw0", lanes: ["sw-a0", "sw-a1"] });
});
