import { expect, test } from "vitest";
import { createRecordingLog } from "../log/recording-log.ts";
import { createShutdown } from "./shutdown.ts";

test("closes in reverse order, each after the one before it", async () => {
  const shutdown = createShutdown({ log: createRecordingLog() });
  const order: string[] = [];
  for (const name of ["store", "nats", "server"]) {
    shutdown.onClose(name, async () => {
      order.push(`${name} begins`);
      await Promise.resolve();
      order.push(`${name} ends`);
    });
  }
  shutdown.begin("test");
  expect(await shutdown.finish()).toBe(true);
  expect(order).toEqual(["server begins", "server ends", "nats begins", "nats ends", "store begins", "store ends"]);
});

test("begins once, and says why", () => {
  const log = createRecordingLog();
  const shutdown = createShutdown({ log });
  expect(shutdown.signal.aborted).toBe(false);
  shutdown.begin("SIGTERM");
  shutdown.begin("SIGINT");
  expect(shutdown.signal.reason).toMatchObject({ message: "shutting down: SIGTERM" });
  expect(log.events.map(({ fields }) => fields)).toEqual([{ reason: "SIGTERM" }]);
});

test("a closer that fails, at once or later, does not keep the next one from running", async () => {
  const log = createRecordingLog();
  const shutdown = createShutdown({ log });
  let isClosed = false;
  shutdown.onClose("last", () => {
    isClosed = true;
  });
  shutdown.onClose("throws", () => {
    throw new Error("at once");
  });
  shutdown.onClose("rejects", () => Promise.reject(new Error("later")));
  expect(await shutdown.finish()).toBe(false);
  expect(isClosed).toBe(true);
  expect(log.events.map(({ fields }) => fields["closer"])).toEqual(["rejects", "throws"]);
});

test("a closer that never ends is given up at the deadline, and told so", async () => {
  const log = createRecordingLog();
  const shutdown = createShutdown({ log, deadlineMs: 20 });
  let isClosed = false;
  shutdown.onClose("last", () => {
    isClosed = true;
  });
  const told = new Promise<void>((resolve) => {
    shutdown.onClose("stuck", (signal) => {
      signal.addEventListener("abort", () => resolve(), { once: true });
      return new Promise(() => {});
    });
  });
  expect(await shutdown.finish()).toBe(false);
  await told;
  expect(isClosed).toBe(true);
  expect(log.events.map(({ fields }) => fields["closer"])).toContain("stuck");
});
