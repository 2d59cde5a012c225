/** @module RTM_*ROUTE (linux/rtnetlink.h): routes of one table. */
import type { Family } from "@spanwire/core/address/ip";
import type { Route } from "@spanwire/core/desired/state";
import { describeRoute } from "../describe.ts";
import { ADDRESS_BYTES, familyOf, ipFromBytes, ipToBytes, prefixToBytes } from "../ip-bytes.ts";
import { kernelError } from "../kernel-error.ts";
import type { ObservedRoute } from "../port.ts";
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { FAMILY, findFamily } from "./family.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";
import { OUR_PROTOCOL } from "./our-protocol.ts";

const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;

const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RTA_VIA = 18;
const RTA_NH_ID = 30;
const RTAX_MTU = 2;

const RTN_UNICAST = 1;
const RTN_BLACKHOLE = 6;
const RTN_THROW = 9;

const SCOPE_UNIVERSE = 0;
const SCOPE_LINK = 253;
const SCOPE_NOWHERE = 255;

const RTM_F_CLONED = 0x200;
/** The kernel would store another metric (IP6_RT_PRIO_USER) than was asked for, and the next look would see a difference. */
const IPV6_METRIC = "an IPv6 route has no metric 0: the best is 1024";

export interface RouteRecord {
  readonly table: number;
  readonly destination: string;
  readonly metric: number;
  readonly type: number;
  readonly index: number | undefined;
  readonly nexthopId: number | undefined;
  readonly source: string | undefined;
  readonly gateway: boolean;
  readonly mtuBytes: number | undefined;
}

/** Adds the route, or replaces the one of its table, destination and metric in one step. `index` is its device's. */
export function replaceRoute(route: Route, index: number | undefined): AttributeWriter {
  const { target } = route;
  const unicast = target.kind === "nexthop" || target.kind === "device";
  const scope = target.kind === "device" && familyOf(route.destination) === "ipv4" ? SCOPE_LINK : SCOPE_UNIVERSE;
  const type = unicast ? RTN_UNICAST : target.kind === "blackhole" ? RTN_BLACKHOLE : RTN_THROW;
  const writer = routeMessage(RTM_NEWROUTE, FLAG.ack | FLAG.create | FLAG.replace, route, { type, scope });
  if (unicast) writer.bytes(RTA_PREFSRC, ipToBytes(target.source));
  if (target.kind === "nexthop") writer.u32(RTA_NH_ID, target.id);
  if (index !== undefined) writer.u32(RTA_OIF, index);
  if (route.mtuBytes !== undefined) {
    const { mtuBytes } = route;
    writer.nest(RTA_METRICS, (metrics) => metrics.u32(RTAX_MTU, mtuBytes), 0);
  }
  return writer;
}

/**
 * Removes the route of this type, nexthop and device only. A bare "metric 0" would mean any metric for IPv4
 * (fib_nh_match), and so could take the blackhole that guards the same prefix.
 */
export function removeRoute(route: ObservedRoute, index: number | undefined): AttributeWriter {
  const { target } = route;
  const type =
    target.kind === "other"
      ? target.type
      : target.kind === "blackhole"
        ? RTN_BLACKHOLE
        : target.kind === "throw"
          ? RTN_THROW
          : RTN_UNICAST;
  const writer = routeMessage(RTM_DELROUTE, FLAG.ack, route, { type, scope: SCOPE_NOWHERE });
  if (target.kind === "nexthop") writer.u32(RTA_NH_ID, target.id);
  if (index !== undefined) writer.u32(RTA_OIF, index);
  return writer;
}

/** One table of one family, or every table. The kernel refuses a table that never had a route with ENOENT. */
export function dumpRoutes(family: Family, table?: number): AttributeWriter {
  const header = Buffer.alloc(12);
  header.writeUInt8(FAMILY[family], 0);
  const writer = beginMessage(RTM_GETROUTE, FLAG.dump, header);
  return table === undefined ? writer : writer.u32(RTA_TABLE, table);
}

/** Undefined for a message that is no route, or one that the kernel cached. */
export function readRoute(message: Message, buffer: Buffer): RouteRecord | undefined {
  const { start: header, end: messageEnd } = message;
  if (message.type !== RTM_NEWROUTE && message.type !== RTM_DELROUTE) return undefined;
  if ((buffer.readUInt32LE(header + 8) & RTM_F_CLONED) !== 0) return undefined;
  const family = findFamily(buffer.readUInt8(header));
  if (family === undefined) return undefined;
  let table = buffer.readUInt8(header + 4);
  let destination = family === "ipv4" ? "0.0.0.0" : "::";
  let metric = 0;
  let index: number | undefined;
  let nexthopId: number | undefined;
  let source: string | undefined;
  let gateway = false;
  let mtuBytes: number | undefined;
  forEachAttribute(buffer, header + 12, messageEnd, (type, start, end) => {
    if (type === RTA_DST && end - start === ADDRESS_BYTES[family]) destination = ipFromBytes(buffer, start, family);
    else if (type === RTA_TABLE) table = buffer.readUInt32LE(start);
    else if (type === RTA_PRIORITY) metric = buffer.readUInt32LE(start);
    else if (type === RTA_OIF) index = buffer.readUInt32LE(start);
    else if (type === RTA_NH_ID) nexthopId = buffer.readUInt32LE(start);
    else if (type === RTA_PREFSRC) source = ipFromBytes(buffer, start, family);
    else if (type === RTA_GATEWAY || type === RTA_VIA || type === RTA_MULTIPATH) gateway = true;
    else if (type === RTA_METRICS) mtuBytes = readMtu(buffer, start, end);
  });
  destination = `${destination}/${buffer.readUInt8(header + 1)}`;
  const type = buffer.readUInt8(header + 7);
  return { table, destination, metric, type, index, nexthopId, source, gateway, mtuBytes };
}

/** The record as a route of ours, or as `other` where we would never make it. */
export function toObservedRoute(record: RouteRecord, nameOf: (index: number) => string | undefined): ObservedRoute {
  const { table, destination, metric, mtuBytes } = record;
  const mtu = mtuBytes === undefined ? {} : { mtuBytes };
  return { table, destination, metric, target: toTarget(record, nameOf), ...mtu };
}

export function isConnected(record: RouteRecord): boolean {
  return record.type === RTN_UNICAST && !record.gateway && record.index !== undefined;
}

/** By a router, or by several ways. */
export function isRouted(record: RouteRecord): boolean {
  return record.type === RTN_UNICAST && record.gateway;
}

function toTarget(record: RouteRecord, nameOf: (index: number) => string | undefined): ObservedRoute["target"] {
  // A source that is not ours, or none, is no reason to call it other: replacing the route mends it.
  const source = record.source ?? "";
  if (record.type === RTN_BLACKHOLE) return { kind: "blackhole" };
  if (record.type === RTN_THROW) return { kind: "throw" };
  if (record.type !== RTN_UNICAST) return { kind: "other", type: record.type };
  if (record.nexthopId !== undefined) return { kind: "nexthop", id: record.nexthopId, source };
  const device = record.index === undefined ? undefined : nameOf(record.index);
  if (record.gateway || device === undefined) return { kind: "other", type: record.type };
  return { kind: "device", device, source };
}

function routeMessage(
  type: number,
  flags: number,
  route: ObservedRoute,
  header: { readonly type: number; readonly scope: number },
): AttributeWriter {
  const { family, bytes, bits } = prefixToBytes(route.destination);
  if (family === "ipv6" && route.metric === 0) throw kernelError(describeRoute(route), "EINVAL", IPV6_METRIC);
  const rtmsg = Buffer.alloc(12);
  rtmsg.writeUInt8(FAMILY[family], 0);
  rtmsg.writeUInt8(bits, 1);
  rtmsg.writeUInt8(route.table < 256 ? route.table : 0, 4);
  rtmsg.writeUInt8(type === RTM_NEWROUTE ? OUR_PROTOCOL : 0, 5);
  rtmsg.writeUInt8(header.scope, 6);
  rtmsg.writeUInt8(header.type, 7);
  const writer = beginMessage(type, flags, rtmsg).bytes(RTA_DST, bytes);
  if (route.table >= 256) writer.u32(RTA_TABLE, route.table);
  return route.metric === 0 ? writer : writer.u32(RTA_PRIORITY, route.metric);
}

function readMtu(buffer: Buffer, from: number, to: number): number | undefined {
  let mtuBytes: number | undefined;
  forEachAttribute(buffer, from, to, (type, start) => {
    if (type === RTAX_MTU) mtuBytes = buffer.readUInt32LE(start);
  });
  return mtuBytes;
}
