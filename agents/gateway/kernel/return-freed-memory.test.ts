import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";

/** Resident bytes that a burst of buffers leaves behind, in a process of its own: the library is the whole of one's. */
function bytesLeftAfterBurst(epilogue: string): number {
  const script = `
    const { systemClock } = await import(${JSON.stringify(fileOf("../../../services/runtime/clock/system-clock.ts"))});
    /** What is garbage is freed by a thread of V8's, some time later. */
    async function leastRss() {
      let least = Infinity;
      for (let n = 0; n < 8; n++) {
        gc();
        await systemClock.sleep(20);
        ${epilogue}
        least = Math.min(least, process.memoryUsage.rss());
      }
      return least;
    }
    const before = await leastRss();
    const all = Array.from({ length: 2_000 }, () => new Uint8Array(10 << 10).fill(1));
    const few = all.filter((_, n) => n % 20 === 0); // what stays between what goes
    all.length = 0;
    console.log(Math.max(0, await leastRss() - before), few.length);`;
  const args = ["--expose-gc", "--input-type=module", "--eval", script];
  return Number.parseInt(execFileSync(process.execPath, args, { encoding: "utf8" }), 10);
}

function fileOf(name: string): string {
  return join(import.meta.dirname, name);
}

test("after a burst little stays that nobody uses", () => {
  const file = JSON.stringify(fileOf("return-freed-memory.ts"));
  const stop = "AbortSignal.timeout(1)";
  const small = bytesLeftAfterBurst(`await (await import(${file})).returnFreedMemory(systemClock, ${stop});`);
  expect(small).toBeLessThan(bytesLeftAfterBurst("") / 2);
});
