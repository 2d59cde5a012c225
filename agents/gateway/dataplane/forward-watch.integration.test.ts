/** HostFirewallDrops with real packets on a real kernel: another firewall is loaded, named, and mended. Needs root. */
import type { Firewall } from "@spanwire/core/desired/state";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { expect, test } from "vitest";
import { createPacketLab, type PacketLab } from "../kernel/nft/packet-lab.ts";
import { hostConditions } from "./conditions.ts";
import { ForwardWatch } from "./forward-watch.ts";
import { observe } from "./observe.ts";

const MODEL: Firewall = {
  remote: ["10.2.0.0/16"],
  kept: [],
  lanePrefix: "sw-",
  stableDevice: "sw0",
  mark: { mark: 0x1000, mask: 0x1000 },
  forward: [
    {
      ...{ link: "eu~us", direction: "out", source: "10.1.0.0/16", destination: "10.2.0.0/16" },
      ...{ protocol: "udp", ports: [{ first: 9000, last: 9000 }] },
    },
  ],
  snat: [],
  mssClamp: undefined,
};

/** What an operator is told of the host, after looking once more. */
async function said({ kernel }: PacketLab, watch: ForwardWatch): Promise<readonly string[]> {
  const foreignDrop = await watch.look();
  const observed = await observe(kernel);
  const nothing = { unusable: new Map(), failures: [], unresolved: [], sysctls: [] };
  return hostConditions({ ...nothing, observed, foreignDrop }).map(({ type, subject }) => `${type} ${subject}`);
}

test.each([
  {
    chain: "ip filter FORWARD",
    load: [
      "add table ip filter",
      "add chain ip filter FORWARD { type filter hook forward priority 0 ; policy drop ; }",
      "add rule ip filter FORWARD ip daddr 192.0.2.0/24 accept",
    ],
    mend: "insert rule ip filter FORWARD oifname sw-a0 accept",
  },
  {
    chain: "inet firewalld filter_FORWARD",
    load: [
      "add table inet firewalld",
      "add chain inet firewalld no",
      "add rule inet firewalld no reject with icmpx admin-prohibited",
      "add chain inet firewalld filter_FORWARD { type filter hook forward priority 10 ; }",
      "add rule inet firewalld filter_FORWARD oifname sw-a0 jump no",
    ],
    mend: "delete table inet firewalld",
  },
])("$chain drops what is forwarded: it is named as soon as packets are lost, until it lets them pass", async ({
  chain,
  load,
  mend,
}) => {
  await using lab = await createPacketLab("ipv4");
  const { local, remote, kernel } = lab;
  await kernel.firewall.apply({ kind: "replace-firewall", firewall: MODEL });
  const watch = new ForwardWatch({ firewall: kernel.firewall, clock: systemClock });
  const send = async (count: number, port = 9000) => {
    for (let sent = 0; sent < count; sent++) lab.sendUdp(local, remote, { port, fromPort: 5000 });
  };

  await send(20);
  await send(20, 9001); // denied by our own link policy
  expect(await said(lab, watch)).toEqual([]);
  await lab.nft(load.join("; "));
  expect(await said(lab, watch)).toEqual([]); // it could, and nothing was lost yet
  await send(20);
  expect(await said(lab, watch)).toEqual([`HostFirewallDrops firewall ${chain}`]);
  expect(await said(lab, watch)).toEqual([`HostFirewallDrops firewall ${chain}`]);

  await lab.nft(mend);
  await send(20);
  expect(await said(lab, watch)).toEqual([]);
  expect(await lab.delivers(local, remote, { port: 9000, fromPort: 5000 })).toBe(true);
});
