/**
 * @module Change events from the kernel's multicast groups, as "look again".
 *
 * The sockets are looked at ten times a second without waiting. Node can wait for such a socket only in a thread that then
 * does nothing else (one of libuv's four, or a worker's megabytes); a look costs a few microseconds.
 */
import { setTimeout as sleep } from "node:timers/promises";
import type { Ownership } from "../ownership.ts";
import { forEachAttribute, textAt } from "./attributes.ts";
import { type Message, messagesIn } from "./message.ts";
import { isConnected, readRoute } from "./route-messages.ts";
import { type NetlinkSocket, openSocket, PROTOCOL } from "./socket.ts";

const LOOK_EVERY_MS = 100;

/** RTNLGRP_*: links, IPv4 and IPv6 addresses, routes, rules and device settings, nexthops. */
const ROUTE_GROUPS = [1, 5, 9, 7, 11, 8, 19, 24, 25, 32];
/** NFNLGRP_NFTABLES */
const FIREWALL_GROUP = 7;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const NFTA_TABLE = 1;
const NETFILTER_HEADER_BYTES = 4;

export interface WatchOptions {
  readonly ownership: Ownership;
  /** The nft table of ours. */
  readonly firewallTable: string;
  readonly netns?: string;
}

/** See NetworkPort.watch. */
export async function* watchKernel(options: WatchOptions, signal: AbortSignal): AsyncGenerator<void> {
  const netns = options.netns === undefined ? {} : { netns: options.netns };
  using route = openSocket({ protocol: PROTOCOL.route, groups: ROUTE_GROUPS, ...netns });
  using firewall = openSocket({ protocol: PROTOCOL.netfilter, groups: [FIREWALL_GROUP], ...netns });
  const buffer = Buffer.alloc(65_536);
  let dirty = true;
  while (!signal.aborted) {
    if (drain(route, buffer, (message) => isRouteEvent(message, buffer, options.ownership))) dirty = true;
    if (drain(firewall, buffer, (message) => isTableEvent(message, buffer, options.firewallTable))) dirty = true;
    if (dirty) {
      dirty = false;
      yield;
    }
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => {});
  }
}

/** Empties the socket's queue; whether anything in it concerns us, or something was lost. */
function drain(socket: NetlinkSocket, buffer: Buffer, concernsUs: (message: Message) => boolean): boolean {
  let found = false;
  for (;;) {
    const length = socket.poll(buffer);
    if (length === "empty") return found;
    if (length === "lost") found = true;
    else if (!found) found = messagesIn(buffer, length).some(concernsUs);
  }
}

/** Of routes only those in our table and connected ones: a BGP daemon changes thousands of others. */
function isRouteEvent(message: Message, buffer: Buffer, ownership: Ownership): boolean {
  if (message.type !== RTM_NEWROUTE && message.type !== RTM_DELROUTE) return true;
  const route = readRoute(message, buffer);
  return route !== undefined && (route.table === ownership.table || isConnected(route));
}

/** Every message about tables, chains, rules, sets and elements names the table first; others change all the time. */
function isTableEvent(message: Message, buffer: Buffer, table: string): boolean {
  let ours = false;
  forEachAttribute(buffer, message.start + NETFILTER_HEADER_BYTES, message.end, (type, start, end) => {
    if (type === NFTA_TABLE) ours ||= textAt(buffer, start, end) === table;
  });
  return ours;
}
