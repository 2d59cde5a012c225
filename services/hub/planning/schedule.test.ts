import { expect, test } from "vitest";
import { checkCron, dueAtMs, isBlackedOut, isTimeZone, type Schedule } from "./schedule.ts";

const at = (text: string) => Date.parse(text);
const berlin = (schedule: Partial<Schedule>): Schedule => ({
  at: { cron: "0 3 * * 0" },
  timeZone: "Europe/Berlin",
  blackouts: [],
  ...schedule,
});
const due = (schedule: Schedule, last: string) => new Date(dueAtMs(schedule, at(last))).toISOString();

test.each([
  {
    name: "Sunday at three, in winter",
    schedule: berlin({}),
    last: "2026-11-21T12:00:00Z",
    want: "2026-11-22T02:00:00.000Z",
  },
  { name: "in summer", schedule: berlin({}), last: "2026-07-01T12:00:00Z", want: "2026-07-05T01:00:00.000Z" },
  {
    name: "in the night that has no such hour",
    schedule: berlin({ at: { cron: "30 2 * * 0" } }),
    last: "2026-03-28T12:00:00Z",
    want: "2026-03-29T01:00:00.000Z",
  },
  {
    name: "thirty days after the last",
    schedule: berlin({ at: { everyDays: 30 } }),
    last: "2026-11-01T00:00:00Z",
    want: "2026-12-01T00:00:00.000Z",
  },
])("is due $name", ({ schedule, last, want }) => {
  expect(due(schedule, last)).toBe(want);
});

test("nothing begins in a blackout, from its first moment to its last", () => {
  const workdays = berlin({ blackouts: [{ cron: "0 8 * * 1-5", hours: 10 }] });
  const times = ["2026-11-23T06:59:59Z", "2026-11-23T07:00:00Z", "2026-11-23T16:59:59Z", "2026-11-23T17:00:00Z"];
  expect(times.map((time) => isBlackedOut(workdays, at(time)))).toEqual([false, true, true, false]);
  expect(isBlackedOut(workdays, at("2026-11-22T10:00:00Z"))).toBe(false); // a Sunday
});

test.each([
  { cron: "61 * * * *", want: /"61 \* \* \* \*": .*minute/ },
  { cron: "0 3 30 2 *", want: /never comes/ },
])("$cron is refused", ({ cron, want }) => {
  expect(() => checkCron(cron)).toThrow(want);
});

test("a time zone is one that there is", () => {
  expect(["UTC", "Europe/Berlin", "Mars/Base", ""].map(isTimeZone)).toEqual([true, true, false, false]);
});
