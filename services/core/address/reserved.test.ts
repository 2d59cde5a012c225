import { expect, test } from "vitest";
import { parseCidr } from "./cidr.ts";
import { parseOverlay } from "./overlay.ts";
import { findReservation } from "./reserved.ts";

const OVERLAY = parseOverlay({ overlayIpv4: "198.18.0.0/15", overlayIpv6: "fd5a:1::/48" });

test.each([
  { prefix: "0.0.0.0/0", why: "default route" },
  { prefix: "::/0", why: "default route" },
  { prefix: "0.0.0.0/1", why: "this network" },
  { prefix: "0.0.0.0/8", why: "this network" },
  { prefix: "127.0.0.0/8", why: "loopback" },
  { prefix: "127.0.0.1/32", why: "loopback" },
  { prefix: "126.0.0.0/7", why: "loopback" },
  { prefix: "169.254.0.0/16", why: "link-local" },
  { prefix: "169.254.169.254/32", why: "link-local" },
  { prefix: "224.0.0.0/4", why: "multicast" },
  { prefix: "239.1.2.0/24", why: "multicast" },
  { prefix: "240.0.0.0/4", why: "future use" },
  { prefix: "255.255.255.255/32", why: "future use" },
  { prefix: "198.18.0.0/15", why: "it meets 198.18.0.0/15, the mesh's own range" },
  { prefix: "198.19.3.0/24", why: "it meets 198.18.0.0/15, the mesh's own range" },
  { prefix: "198.0.0.0/8", why: "it meets 198.18.0.0/15, the mesh's own range" },
  { prefix: "fd5a:1:0:7::/64", why: "it meets fd5a:1::/48, the mesh's own range" },
  { prefix: "::1/128", why: "loopback" },
  { prefix: "::/8", why: "unspecified" },
  { prefix: "::ffff:0:0/96", why: "IPv4 in disguise" },
  { prefix: "::ffff:a00:0/104", why: "IPv4 in disguise" },
  { prefix: "fe80::/10", why: "link-local" },
  { prefix: "fe80::/64", why: "link-local" },
  { prefix: "ff02::/16", why: "multicast" },
])("$prefix is reserved: $why", ({ prefix, why }) => {
  expect(findReservation(parseCidr(prefix), OVERLAY)).toContain(why);
});

test.each([
  "10.0.0.0/8",
  "172.16.0.0/12",
  "192.168.1.0/24",
  "100.64.0.0/10",
  "8.8.8.8/32",
  "fd00::/48",
  "2001:db8::/32",
])("%s may be announced", (prefix) => expect(findReservation(parseCidr(prefix), OVERLAY)).toBeUndefined());
