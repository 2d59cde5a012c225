import { expect, test } from "vitest";
import { peerName } from "./peer-name.ts";

test.each([
  { peer: "192.0.2.1:40000", name: "192.0.2.1/32" },
  { peer: "::ffff:192.0.2.1:40000", name: "192.0.2.1/32" },
  { peer: "2001:db8:1:2:3:4:5:6:40000", name: "2001:db8:1:2::/64" },
  { peer: "::1:40000", name: "::/64" },
  { peer: "unknown", name: "unknown" },
  { peer: "fe80::1%eth0:1", name: "unknown" },
])("$peer is limited as $name", ({ peer, name }) => {
  expect(peerName(peer)).toBe(name);
});
