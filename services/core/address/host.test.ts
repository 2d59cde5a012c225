import { expect, test } from "vitest";
import { findHost, formatHostPort } from "./host.ts";

test.each([
  { text: "192.0.2.1", want: "192.0.2.1:51820" },
  { text: "2001:DB8::1", want: "[2001:db8::1]:51820" },
  { text: "gw.eu.example", want: "gw.eu.example:51820" },
  { text: "GW.example", want: "gw.example:51820" },
  { text: "gateway", want: "gateway:51820" },
  { text: "xn--bcher-kva.example", want: "xn--bcher-kva.example:51820" },
  { text: "_gw.example", want: "_gw.example:51820" },
  { text: "1.example", want: "1.example:51820" },
])("$text is written $want", ({ text, want }) => {
  const host = findHost(text);
  expect(host && formatHostPort(host, 51_820)).toBe(want);
});

// A resolver would read the numeric ones as addresses that nobody wrote.
test.each([
  "",
  "10.1",
  "1234",
  "0x7f000001",
  "127.0.0.0x1",
  "010.0.0.1",
  "host:51820",
  "[::1]",
  "fe80::1%eth0",
  "-gw.example",
  "gw-.example",
  "gw..example",
  "gw.example.",
  "gw example",
  "gw/../etc",
  "a".repeat(64),
  `${"a.".repeat(127)}example`,
])("refuses %j", (text) => expect(findHost(text)).toBeUndefined());
