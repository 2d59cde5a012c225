/** @module What an operator should know of this host: seen by observing it and by what it refused. Pure. */
import type { Condition } from "@spanwire/core/desired/condition";
import { LANE_PREFIX } from "@spanwire/core/desired/lane";
import { describeFinding, type SysctlFinding } from "../kernel/capability.ts";
import { describeChange, describeRoute } from "../kernel/describe.ts";
import type { Failure } from "./apply.ts";
import type { ForeignDrop } from "./forward-watch.ts";
import type { Observed } from "./observe.ts";
import type { Unusable } from "./usable.ts";

export type HostConditionType =
  /** A device of another kind has the name of one of ours: it is left alone, and ours is missing. */
  | "DeviceTaken"
  /** One of our devices is absent or down and cannot be had. */
  | "DeviceMissing"
  /** Another program has a lane's UDP port. */
  | "PortInUse"
  /** The firewall could not be written. */
  | "GuardMissing"
  /** A lane filters by reverse path: packets are lost in every half-flipped moment. */
  | "RpFilterStrict"
  /** Somebody put a route into our table that we would never make: it is left alone. */
  | "ForeignRoute"
  /** Another program's rules drop packets between the lanes and our networks. */
  | "HostFirewallDrops"
  /** What only a sysctl can set, and is not set. */
  | "SysctlNotSet"
  /** A name in a remote gateway's statement has no address. */
  | "EndpointUnresolved"
  /** Anything else that the kernel refused. */
  | "KernelRefused";

/** Of the same shape as those that the wish comes with. */
export type HostCondition = Omit<Condition, "type"> & { readonly type: HostConditionType };

export interface HostFacts {
  readonly observed: Observed;
  readonly unusable: ReadonlyMap<string, Unusable>;
  readonly failures: readonly Failure[];
  readonly unresolved: readonly string[];
  readonly foreignDrop: ForeignDrop | undefined;
  readonly sysctls: readonly SysctlFinding[];
}

/** Lists them sorted by type and subject; equal facts give equal lists. */
export function hostConditions(facts: HostFacts): readonly HostCondition[] {
  const { observed, unusable, failures, unresolved, foreignDrop, sysctls } = facts;
  const conditions = [
    ...[...unusable].map(([device, why]) => deviceCondition(device, why)),
    ...foreignRoutes(observed),
    ...(foreignDrop === undefined ? [] : [hostFirewallDrops(foreignDrop)]),
    ...unresolved.map((host): HostCondition => {
      const message = `${host} has no address that may be used: ask its site, or see to this host's name server`;
      return { type: "EndpointUnresolved", subject: `endpoint ${host}`, message };
    }),
    ...sysctls.map((finding): HostCondition => {
      const subject = `sysctl ${finding.sysctl}`;
      return { type: "SysctlNotSet", subject, message: `${describeFinding(finding)}; set it in /etc/sysctl.d` };
    }),
    ...refusals(failures),
  ];
  const key = ({ type, subject }: HostCondition) => `${type} ${subject}`;
  return conditions.sort((a, b) => (key(a) < key(b) ? -1 : 1));
}

function deviceCondition(device: string, why: Unusable): HostCondition {
  const subject = `device ${device}`;
  if (why === "foreign") {
    const message = `${device} is another program's device: rename or remove it, or Spanwire does without this one`;
    return { type: "DeviceTaken", subject, message };
  }
  const message = `${device} is ${why} and cannot be brought up: what it carries takes another lane or is held back`;
  return { type: "DeviceMissing", subject, message };
}

function foreignRoutes({ network }: Observed): HostCondition[] {
  return network.routes
    .filter(({ target }) => target.kind === "other")
    .map((route) => ({
      type: "ForeignRoute",
      subject: `route ${route.destination}`,
      message: `"${describeRoute(route)}" is none of ours: it may divert packets (the firewall drops them); remove it`,
    }));
}

function hostFirewallDrops({ chains }: ForeignDrop): HostCondition {
  const dropped = "forwarded packets of the mesh are dropped on this host by another program's rules";
  if (chains.length === 0) {
    const message = `${dropped}, and none of nft's can: look at "iptables-legacy -S FORWARD" and BPF programs`;
    return { type: "HostFirewallDrops", subject: "firewall", message };
  }
  const names = chains.map(({ name, policy }) => (policy === "drop" ? `${name} (policy drop)` : name)).join(", ");
  const message = `${dropped}: let ${LANE_PREFIX}* pass, in both directions, in ${names}`;
  return { type: "HostFirewallDrops", subject: `firewall ${chains.map(({ name }) => name).join(", ")}`, message };
}

/** One condition for each way in which the kernel refused, however many changes it refused so. */
function refusals(failures: readonly Failure[]): HostCondition[] {
  const alike = Map.groupBy(
    failures,
    ({ change, error }) => `${typeOf({ change, error })} ${change.kind} ${error.reason}`,
  );
  return [...alike.values()].flatMap(([first, ...more]) => {
    if (first === undefined) return [];
    const others = more.length === 0 ? "" : `; and ${more.length} more like it`;
    const message = `${CONSEQUENCE[typeOf(first)]}${first.error.message}${others}`;
    return [{ type: typeOf(first), subject: describeChange(first.change), message }];
  });
}

const CONSEQUENCE = {
  PortInUse: "stop the program that has this port, or set another base port: ",
  GuardMissing: "no further peer is let in, and blackhole routes alone keep packets from leaving in clear: ",
  RpFilterStrict: "packets will be lost whenever a remote gateway's lane changes: ",
  KernelRefused: "",
} as const;

function typeOf({ change, error }: Failure): keyof typeof CONSEQUENCE {
  if (error.reason === "EADDRINUSE") return "PortInUse";
  if (change.kind === "replace-firewall") return "GuardMissing";
  return change.kind === "set-settings" ? "RpFilterStrict" : "KernelRefused";
}
