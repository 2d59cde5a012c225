import { spawn } from "node:child_process";
import { once } from "node:events";
import { expect, test } from "vitest";

/** A process of its own, since signals are sent to processes: closes with or without an end, and says what it does. */
const program = `
  import { createShutdown } from ${JSON.stringify(new URL("./shutdown.ts", import.meta.url).href)};
  import { listenToSystemSignals } from ${JSON.stringify(new URL("./system-signals.ts", import.meta.url).href)};
  import { createLog } from ${JSON.stringify(new URL("../log/create-log.ts", import.meta.url).href)};
  const log = createLog({ name: "test", format: "json" });
  const shutdown = createShutdown({ log, deadlineMs: 60_000 });
  using _ = listenToSystemSignals(shutdown, log);
  const alive = setInterval(() => {}, 60_000);
  shutdown.onClose("work", () => process.argv.at(-1) === "stuck" ? new Promise(() => {}) : clearInterval(alive));
  shutdown.signal.addEventListener("abort", () => console.log("asked"));
  console.log("ready");
  await new Promise((resolve) => shutdown.signal.addEventListener("abort", resolve));
  process.exitCode = (await shutdown.finish()) ? 0 : 1;
`;

test.each(["SIGTERM", "SIGINT"] as const)("%s ends a process in good order", async (signal) => {
  const { child, output, ended } = await start("willing");
  child.kill(signal);
  expect(await ended).toEqual([0, null]);
  expect(output()).toContain("asked");
});

test("a second signal ends one that does not finish", async () => {
  const { child, output, ended } = await start("stuck");
  child.kill("SIGTERM");
  await expect.poll(output).toContain("asked");
  child.kill("SIGINT");
  expect(await ended).toEqual([130, null]);
});

async function start(behaviour: "willing" | "stuck") {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", program, behaviour], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  let text = "";
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  const ended = once(child, "exit");
  await expect.poll(() => text).toContain("ready");
  return { child, output: () => text, ended };
}
