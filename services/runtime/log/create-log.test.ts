import { SpanwireError } from "@spanwire/core/errors";
import { Secret } from "@spanwire/core/identity/secret";
import { expect, test } from "vitest";
import { createLog, type LogOptions } from "./create-log.ts";

function record(options: Partial<LogOptions> = {}) {
  const lines: string[] = [];
  const log = createLog({
    name: "hub",
    format: "json",
    stream: { write: (line) => void lines.push(line) },
    ...options,
  });
  return { log, lines };
}

test("writes one JSON object a line, with time, level, program and the fields of its children", () => {
  const { log, lines } = record();
  log.child({ cluster: "eu" }).info({ port: 8443 }, "listening");
  const { time, ...event } = JSON.parse(lines[0] ?? "");
  expect(new Date(time).toISOString()).toBe(time);
  expect(event).toEqual({ level: "info", name: "hub", cluster: "eu", port: 8443, msg: "listening" });
});

test("says no more than the level asks for", () => {
  const { log, lines } = record({ level: "warn" });
  log.debug({}, "a");
  log.info({}, "b");
  log.warn({}, "c");
  expect(lines).toHaveLength(1);
});

test("no secret comes out, as a Secret, by its name, or inside an error of a library", () => {
  const { log, lines } = record();
  const hidden = "hunter2";
  const error = Object.assign(new Error("call failed"), {
    metadata: { authorization: hidden },
    config: { token: hidden },
  });
  log.error({ key: new Secret(Buffer.from(hidden)), deep: { key: new Secret(Buffer.from(hidden)) }, err: error }, "x");
  log.info({ token: hidden, peer: { privateKey: hidden, jwt: hidden } }, "y");
  expect(lines.join()).not.toContain(hidden);
  expect(lines.join()).not.toContain(Buffer.from(hidden).toString("base64"));
  expect(lines.join()).toContain("[secret]");
});

test("an error keeps code, reason and causes; several stay several", () => {
  const { log, lines } = record();
  const cause = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
  const err = new SpanwireError("unavailable", "join: hub is away", { reason: "HUB_AWAY", cause });
  log.error({ err: new AggregateError([err], "several") }, "failed");
  expect(JSON.parse(lines[0] ?? "").err).toMatchObject({
    type: "AggregateError",
    message: "several",
    errors: [
      {
        type: "SpanwireError",
        code: "unavailable",
        reason: "HUB_AWAY",
        message: "join: hub is away",
        cause: { type: "Error", code: "ECONNREFUSED", message: "connect" },
      },
    ],
  });
});

test("an error that is its own cause ends somewhere", () => {
  const { log, lines } = record();
  const error = new Error("round");
  error.cause = error;
  log.error({ err: error }, "x");
  expect(lines).toHaveLength(1);
});

test("text for a person", () => {
  const { log, lines } = record({ format: "text" });
  const err = new SpanwireError("unavailable", "join: away", { cause: new Error("connect ECONNREFUSED") });
  log.warn({ cluster: "eu", count: 3, note: "two words", list: ["a"], err }, "joining failed");
  expect(lines.map((line) => line.replace(/^[\d:.]{12}/, "TIME"))).toEqual([
    'TIME WARN  hub: joining failed cluster=eu count=3 note="two words" list="[\\"a\\"]" err="join: away" cause="connect ECONNREFUSED"\n',
  ]);
});
