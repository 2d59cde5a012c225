/**
 * @module Whether the host forwards what its own networks send. Forwarding counts at the device by which a packet comes
 * in: the agent sets it for its lanes, and for no device that is not its own.
 */
import { containsCidr, overlaps, parseCidr } from "../address/cidr.ts";
import type { Condition } from "./condition.ts";
import type { Context } from "./context.ts";
import type { ForwardRule } from "./state.ts";

/** `through` are the pairs that our cluster carries, from lane to lane. */
export function forwardingConditions(context: Context, through: readonly ForwardRule[]): readonly Condition[] {
  const ipv6 = needsIpv6(context, through) && !context.local.ipv6Forwarding;
  return [...lansNotForwarding(context), ...(ipv6 ? [IPV6_NOT_FORWARDING] : [])];
}

const IPV6_NOT_FORWARDING: Condition = {
  type: "LanNotForwarding",
  subject: "sysctl net.ipv6.conf.all.forwarding",
  message:
    "this host forwards no IPv6, so nothing behind it reaches the mesh by IPv6: " +
    "sysctl -w net.ipv6.conf.all.forwarding=1 (IPv6 has no such setting for one device)",
};

/** One for each device, however many of our networks are behind it. */
function lansNotForwarding({ own, local }: Context): readonly Condition[] {
  const senders = [...(own?.prefixes ?? []), ...local.snat.map(parseCidr)];
  const concerned = local.notForwarding.filter(({ network }) => {
    const cidr = parseCidr(network);
    // A wider route by a router ("10.0.0.0/8 by the core router") does not say that our hosts are there.
    const meets = local.connected.some((each) => each.network === network) ? overlaps : containsCidr;
    return senders.some((sender) => meets(sender, cidr));
  });
  const byDevice = Map.groupBy(concerned, ({ device }) => device);
  return [...byDevice].map(([device, networks]) => ({
    type: "LanNotForwarding",
    subject: `device ${device}`,
    message:
      `${device} does not forward, so ${networks.map(({ network }) => network).join(", ")} cannot send into the mesh ` +
      `by this gateway: sysctl -w ${forwardingSysctl(device)}=1`,
  }));
}

function needsIpv6({ own, carried }: Context, through: readonly ForwardRule[]): boolean {
  if (!carried.includes("ipv6")) return false;
  return (
    (own?.prefixes.some(({ family }) => family === "ipv6") ?? false) ||
    through.some(({ source }) => source.includes(":"))
  );
}

/** sysctl(8) takes slashes for the dots in a device's name. */
function forwardingSysctl(device: string): string {
  return `net.ipv4.conf.${device.replaceAll(".", "/")}.forwarding`;
}
