import { expect, test } from "vitest";
import { createChanges } from "./changes.ts";

const never = new AbortController().signal;

test("wakes everybody who waits, once for each change", async () => {
  const changes = createChanges();
  const woken = [changes.after(0, never), changes.after(0, never)];
  changes.notify();
  await Promise.all(woken);
  expect(changes.version).toBe(1);
});

test("a change that came before the wait is not missed", async () => {
  const changes = createChanges();
  const seen = changes.version;
  changes.notify();
  await changes.after(seen, never);
});

test("rejects with the reason of the abort, before and during the wait", async () => {
  const changes = createChanges();
  const reason = new Error("closing");
  await expect(changes.after(0, AbortSignal.abort(reason))).rejects.toBe(reason);
  const controller = new AbortController();
  const wait = changes.after(0, controller.signal);
  controller.abort(reason);
  await expect(wait).rejects.toBe(reason);
});
