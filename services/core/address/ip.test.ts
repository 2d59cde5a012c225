import fc from "fast-check";
import { expect, test } from "vitest";
import { formatIp, ipFrom, parseIp, readIp } from "./ip.ts";

test.each([
  "010.0.0.1",
  "1.2.3",
  "1.2.3.4.5",
  "256.0.0.1",
  "0x0a.0.0.1",
  "1.2.3.4 ",
  "1.2.3.",
  "+1.2.3.4",
  "",
  "eth0",
  ":",
  ":::",
  "1::2::3",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1:2:3:4:5:6:7:8::",
  "::12345",
  "::g",
  "fe80::1%eth0",
  "[::1]",
  "::1.2.3",
  "::1.2.3.4:5",
  "1.2.3.4::",
  "::ffff:010.0.0.1",
  ":1:2:3:4:5:6:7",
])("refuses %j", (text) => {
  expect(readIp(text)).toEqual({ ok: false, problem: `"${text}" is not an IP address` });
  expect(() => parseIp(text)).toThrow("is not an IP address");
});

// RFC 5952, section 4.
test.each([
  { text: "2001:0db8::0001", want: "2001:db8::1" },
  { text: "2001:db8:0:0:0:0:2:1", want: "2001:db8::2:1" },
  { text: "2001:db8:0:1:1:1:1:1", want: "2001:db8:0:1:1:1:1:1" },
  { text: "2001:0:0:1:0:0:0:1", want: "2001:0:0:1::1" },
  { text: "2001:db8:0:0:1:0:0:1", want: "2001:db8::1:0:0:1" },
  { text: "2001:DB8::A", want: "2001:db8::a" },
  { text: "0:0:0:0:0:0:0:0", want: "::" },
  { text: "1:0:0:0:0:0:0:0", want: "1::" },
  { text: "::ffff:192.0.2.1", want: "::ffff:c000:201" },
  { text: "0.0.0.0", want: "0.0.0.0" },
  { text: "255.255.255.255", want: "255.255.255.255" },
])("$text is written $want", ({ text, want }) => expect(formatIp(parseIp(text))).toBe(want));

test("IPv4 is written as a URL writes it, and reads back equal", () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 2n ** 32n - 1n), (value) => {
      const text = formatIp(ipFrom("ipv4", value));
      expect(text).toBe(new URL(`http://${value}/`).hostname);
      expect(parseIp(text)).toEqual(ipFrom("ipv4", value));
    }),
  );
});

test("IPv6 is written as a URL writes it, and reads back equal", () => {
  // Groups of zero often enough that runs of them meet.
  const group = fc.oneof(fc.constant(0), fc.nat(0xffff));
  fc.assert(
    fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), (groups) => {
      const full = groups.map((each) => each.toString(16).padStart(4, "0")).join(":");
      const ip = parseIp(full);
      expect(`[${formatIp(ip)}]`).toBe(new URL(`http://[${full}]/`).hostname);
      expect(parseIp(formatIp(ip))).toEqual(ip);
    }),
  );
});

test("reading any text gives an address or a sentence, and never throws", () => {
  const almost = fc.string({ unit: fc.constantFrom(..."0123456789abf:./%x ".split("")), maxLength: 24 });
  fc.assert(
    fc.property(almost, (text) => {
      const read = readIp(text);
      if (read.ok) expect(parseIp(formatIp(read.ip))).toEqual(read.ip);
      else expect(read.problem).toContain(text);
    }),
  );
});
