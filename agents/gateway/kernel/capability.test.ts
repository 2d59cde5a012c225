import { expect, test } from "vitest";
import { checkSysctls, describeFinding, missingNetAdmin, readOwnStatus } from "./capability.ts";
import { kernelFeatures } from "./features.ts";

test.each([
  { name: "root", effective: "000001fffeffffff", missing: false },
  { name: "CAP_NET_ADMIN alone", effective: "0000000000001000", missing: false },
  { name: "none", effective: "0000000000000000", missing: true },
  { name: "all but CAP_NET_ADMIN", effective: "000001ffffffefff", missing: true },
])("CAP_NET_ADMIN: $name", ({ effective, missing }) => {
  const sentence = missingNetAdmin(`Name:\tnode\nCapInh:\t0\nCapEff:\t${effective}\nCapBnd:\t0\n`);
  expect(sentence === undefined).toBe(!missing);
  if (missing) expect(sentence).toContain("AmbientCapabilities=CAP_NET_ADMIN");
});

test("reads this process's own capabilities", () => {
  expect(readOwnStatus()).toMatch(/^CapEff:/m);
  expect(missingNetAdmin("Name:\tnode\n")).toContain("cannot tell");
});

test("lists the sysctls that are not as they should be, IPv6's only where it is carried", () => {
  const values: Record<string, string> = { "net.ipv4.fib_multipath_hash_policy": "0" };
  const read = (name: string) => values[name];
  expect(checkSysctls({ ipv6: false }, read).map(describeFinding)).toEqual([
    "net.ipv4.fib_multipath_hash_policy is 0, not 1: all connections between two hosts take the same one of a remote cluster's gateways",
  ]);
  expect(checkSysctls({ ipv6: true }, read).map(({ sysctl, value }) => [sysctl, value])).toEqual([
    ["net.ipv4.fib_multipath_hash_policy", "0"],
    ["net.ipv6.fib_multipath_hash_policy", undefined],
  ]);
});

test.each([
  { release: "5.2.0", nexthopObjects: false, resilientGroups: false, allowedIpRemoval: false },
  { release: "5.10.0-28-amd64", nexthopObjects: true, resilientGroups: false, allowedIpRemoval: false },
  { release: "5.14.0-427.el9.x86_64", nexthopObjects: true, resilientGroups: true, allowedIpRemoval: false },
  { release: "6.1.0-56-amd64", nexthopObjects: true, resilientGroups: true, allowedIpRemoval: false },
  { release: "6.16.0", nexthopObjects: true, resilientGroups: true, allowedIpRemoval: true },
  { release: "7.0-rc1", nexthopObjects: true, resilientGroups: true, allowedIpRemoval: true },
])("Linux $release", ({ release, ...features }) => {
  expect(kernelFeatures(release)).toEqual(features);
});
