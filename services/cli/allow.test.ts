import { expect, test } from "vitest";
import { formatAllow, parseAllow } from "./allow.ts";

test.each([
  { text: "any", want: "both any" },
  { text: "tcp 443", want: "both tcp 443" },
  { text: "left->right tcp 443,8000-8010", want: "left->right tcp 443,8000-8010" },
  { text: "right->left udp 53 from 10.1.0.0/16,10.9.0.0/16 to 10.2.0.0/24", want: undefined },
  { text: "icmp to fd00::/48", want: "both icmp to fd00::/48" },
])('reads "$text" and writes it again', ({ text, want = text }) => {
  expect(formatAllow(parseAllow(text))).toBe(want);
});

test.each([
  "",
  "sctp 1",
  "tcp 443 to",
  "up->down tcp",
  "tcp 1-2-3",
  "tcp x",
])("refuses %j and says the form", (text) => {
  expect(() => parseAllow(text)).toThrow("any|tcp|udp|icmp");
});
