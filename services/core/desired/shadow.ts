/** @module Remote prefixes that meet the host's own networks, and those that it cannot carry. */
import { type Cidr, containsCidr, overlaps, subtract } from "../address/cidr.ts";
import type { Condition } from "./condition.ts";
import type { Context } from "./context.ts";
import type { Member } from "./member.ts";
import type { KeptNetwork } from "./state.ts";

/** Whether a local network takes the whole prefix, so that no route to it may be made. */
export function isKept({ kept }: Context, prefix: Cidr): boolean {
  return kept.some((local) => local.bits === prefix.bits && overlaps(local, prefix));
}

/** The local networks inside a prefix, without hub and NATS: those are reached by whatever way there is. */
export function keptNetworks({ connected, control }: Context, prefix: Cidr): readonly KeptNetwork[] {
  const inside = connected.filter(({ cidr }) => containsCidr(prefix, cidr));
  return inside
    .filter(({ cidr }, index) => inside.findIndex((other) => other.cidr.text === cidr.text) === index)
    .flatMap(({ cidr }) => {
      // A packet that the longer of two networks takes is in the other one, too.
      const sharing = inside.filter((other) => overlaps(other.cidr, cidr)).map(({ device }) => device);
      const devices = [...new Set(sharing)].sort();
      const elsewhere = control.filter((address) => containsCidr(cidr, address));
      return subtract(cidr, elsewhere).map(({ text }) => ({ prefix: text, devices }));
    });
}

/**
 * A network by a router counts only where the remote prefix covers it: a wider route to it ("10.0.0.0/8 by the core
 * router") is what the prefix is meant to be an exception from.
 */
export function shadowConditions({ kept, localRoutes }: Context, { id, prefixes }: Member): readonly Condition[] {
  return prefixes.flatMap((prefix) => [
    ...kept.filter((local) => overlaps(local, prefix)).map((local) => shadow(id, prefix, local, true)),
    ...localRoutes.filter((local) => containsCidr(prefix, local)).map((local) => shadow(id, prefix, local, false)),
  ]);
}

export function notCarriedConditions({ carried }: Context, { id, prefixes }: Member): readonly Condition[] {
  return prefixes
    .filter(({ family }) => !carried.includes(family))
    .map((prefix) => ({
      type: "Ipv6NotCarried",
      subject: `prefix ${prefix.text}`,
      message: `cluster ${id} announces ${prefix.text}: IPv6 is not carried here, its packets are dropped`,
    }));
}

/** The longer of the two prefixes wins, and a kept one wins a tie. */
function shadow(id: string, remote: Cidr, local: Cidr, isKeptLocal: boolean): Condition {
  const winner =
    isKeptLocal && containsCidr(remote, local) ? `${local.text} stays local` : `${remote.text} goes to ${id}`;
  return {
    type: "PrefixShadowsLocal",
    subject: `prefix ${remote.text}`,
    message: `${remote.text} of cluster ${id} meets the local ${local.text}: ${winner}; renumber one of them`,
  };
}
