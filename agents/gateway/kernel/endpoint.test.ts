import { expect, test } from "vitest";
import { formatEndpoint, parseEndpoint } from "./endpoint.ts";

test.each([
  { text: "192.0.2.1:51820", host: "192.0.2.1", port: 51_820 },
  { text: "[2001:db8::1]:1", host: "2001:db8::1", port: 1 },
])("$text", ({ text, host, port }) => {
  expect(parseEndpoint(text)).toEqual({ host, port });
  expect(formatEndpoint({ host, port })).toBe(text);
});

test.each([
  "gw.example:51820",
  "192.0.2.1",
  "192.0.2.1:0",
  "192.0.2.1:65536",
  "192.0.2.256:1",
  "2001:db8::1:51820",
  "[192.0.2.1]:1",
  "[::1%eth0]:1",
  "",
])("refuses %j", (text) => {
  expect(() => parseEndpoint(text)).toThrow("is not a numeric endpoint");
});
