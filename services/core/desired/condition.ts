/** @module Something an operator should know: the same three words as in the status an agent reports. */

export type ConditionType =
  /** Neither side of a pair has an endpoint that the other could reach. */
  | "NoPath"
  /** A linked cluster has no gateway that we can build a tunnel to, yet. */
  | "NoGateway"
  /** The policy names a transit cluster that cannot carry the pair. */
  | "TransitUnavailable"
  /** A remote prefix covers, or lies in, a network of this host. */
  | "PrefixShadowsLocal"
  /** Nothing on this host says where a prefix of its own cluster is. */
  | "OwnPrefixNotLocal"
  | "OverlayMeetsLocalRoute"
  /** The kernel drops what our own networks send, because forwarding is off where it comes in. */
  | "LanNotForwarding"
  /** Remote IPv6 prefixes that this gateway guards but does not carry. */
  | "Ipv6NotCarried"
  /** This gateway is not, or no longer, admitted. */
  | "NotAdmitted"
  /** We hold no key for an epoch in use. */
  | "NoOwnKey"
  /** A record of a type that this version does not know. */
  | "UnknownRecord"
  /** A signed record says what cannot be obeyed: that part of it is left out. */
  | "UnusableRecord";

export interface Condition {
  readonly type: ConditionType;
  /** What it is about: "cluster us", "prefix 10.2.0.0/16". */
  readonly subject: string;
  /** A sentence: what is so, and what a person can do. */
  readonly message: string;
}
