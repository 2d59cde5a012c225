import { test } from "vitest";
import { interopCases } from "../contract/interop.ts";
import { kernelContract } from "../contract.ts";
import { createUserspace } from "./userspace.ts";

for (const { name, run } of kernelContract()) {
  test(`userspace ${name}`, async () => {
    await using userspace = await createUserspace();
    await run(userspace.kernel, userspace.names);
  });
}

for (const { name, run } of interopCases) {
  test(`userspace: ${name}`, async () => {
    await using userspace = await createUserspace();
    await run(userspace.kernel, userspace.names, userspace.namespace);
  });
}
