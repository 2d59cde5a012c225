import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

/** Bytes of the young generation after a burst, in a process of its own: flags are for the whole of one. */
function youngBytesAfterBurst(prologue: string): number {
  const script = `
    ${prologue}
    const { getHeapSpaceStatistics } = await import("node:v8");
    let kept = [];
    for (let n = 0; n < 3_000_000; n++) {
      if (n % 100_000 === 0) kept = [];
      kept.push({ n });
    }
    console.log(getHeapSpaceStatistics().find(({ space_name }) => space_name === "new_space").physical_space_size);`;
  return Number(execFileSync(process.execPath, ["--input-type=module", "--eval", script], { encoding: "utf8" }));
}

test.each([
  "limitYoungGeneration",
  "keepMemorySmall",
])("after a burst the young generation is a small part of what it is by default: %s", (name) => {
  const file = join(import.meta.dirname, "keep-memory-small.ts");
  const small = youngBytesAfterBurst(`(await import(${JSON.stringify(file)})).${name}();`);
  expect(small).toBeGreaterThan(0);
  expect(small).toBeLessThan(youngBytesAfterBurst("") / 2);
});
