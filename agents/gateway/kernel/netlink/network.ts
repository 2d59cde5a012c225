/** @module NetworkPort over rtnetlink. */
import type { Nexthop, Route } from "@spanwire/core/desired/state";
import { by, routeKey } from "../by.ts";
import type { NetworkChange } from "../change.ts";
import { kernelError } from "../kernel-error.ts";
import { type Ownership, ownsDevice, ownsNexthop } from "../ownership.ts";
import type { HostNetwork, HostRoute, NetworkPort, ObservedLink, ObservedNetwork, ObservedRoute } from "../port.ts";
import { type AddressRecord, addAddress, dumpAddresses, readAddress, removeAddress } from "./address-messages.ts";
import type { AttributeWriter } from "./attributes.ts";
import { type NetlinkConnection, throwFailure } from "./connection.ts";
import type { Failure } from "./failure.ts";
import {
  addLink,
  dumpLinks,
  getLink,
  type LinkRecord,
  readLink,
  removeLink,
  setLink,
  setSettings,
} from "./link-messages.ts";
import type { Message } from "./message.ts";
import { ALL_DEVICES, getIpv6Forwarding, readForwarding } from "./netconf-messages.ts";
import { dumpNexthops, readNexthop, removeNexthop, replaceNexthop } from "./nexthop-messages.ts";
import {
  dumpRoutes,
  isConnected,
  isRouted,
  type RouteRecord,
  readRoute,
  removeRoute,
  replaceRoute,
  toObservedRoute,
} from "./route-messages.ts";
import { addRule, dumpRules, readRule, removeRule } from "./rule-messages.ts";

export interface NetworkOptions {
  readonly route: NetlinkConnection;
  readonly ownership: Ownership;
  /** The kind of the lanes' devices: "tun" where WireGuard runs in userspace. */
  readonly laneKind: "wireguard" | "tun";
  readonly watch: NetworkPort["watch"];
}

const FAMILIES = ["ipv4", "ipv6"] as const;
const TABLE_MAIN = 254;
const TABLE_LOCAL = 255;

export function createNetlinkNetwork({ route, ownership, laneKind, watch }: NetworkOptions): NetworkPort {
  /** Reads a whole list; what `read` returns undefined for is left out. */
  async function list<T>(
    what: string,
    request: () => AttributeWriter,
    read: (message: Message, buffer: Buffer) => T | undefined,
    empty: readonly string[] = [],
  ): Promise<T[]> {
    let items: T[] = [];
    const failure = await route.dump(request, () => {
      items = [];
      return (message, buffer) => {
        const item = read(message, buffer);
        if (item !== undefined) items.push(item);
      };
    });
    if (failure !== undefined && !empty.includes(failure.errno)) throwFailure(`read ${what}`, failure);
    return items;
  }

  /** A table that never had a route does not exist yet. */
  async function routesOf(table: number | undefined) {
    const perFamily = [];
    for (const family of FAMILIES) {
      perFamily.push(await list("routes", () => dumpRoutes(family, table), readRoute, ["ENOENT"]));
    }
    return perFamily.flat();
  }

  async function observe(): Promise<ObservedNetwork> {
    const links = await list("links", dumpLinks, readLink);
    const nameOf = names(links);
    const ours = links.filter(({ name }) => ownsDevice(ownership, name)).sort(by(({ name }) => name));
    const addresses = await list("addresses", dumpAddresses, readAddress);
    const nexthops = await list("nexthops", dumpNexthops, (message, buffer) => readNexthop(message, buffer, nameOf));
    const routes = (await routesOf(ownership.table)).filter(({ table }) => table === ownership.table);
    const rules = [];
    for (const family of FAMILIES) rules.push(...(await list("rules", () => dumpRules(family), readRule)));
    return {
      links: ours.map((link) => toObservedLink(link, ownership, laneKind)),
      settings: ours.map(({ settings }) => settings),
      addresses: withDevices(addresses, nameOf).filter(({ device }) => ownsDevice(ownership, device)),
      nexthops: nexthops.filter(({ id }) => ownsNexthop(ownership, id)).sort((a, b) => a.id - b.id),
      routes: routes.map((record) => toObservedRoute(record, nameOf)).sort(by(routeKey)),
      rules: rules
        .filter(({ table }) => table === ownership.table)
        .sort(by(({ family, priority }) => `${family} ${priority}`)),
    };
  }

  async function host(): Promise<HostNetwork> {
    const links = await list("links", dumpLinks, readLink);
    const others = links.filter(({ name }) => !ownsDevice(ownership, name));
    const nameOf = names(links);
    const addresses = await list("addresses", dumpAddresses, readAddress);
    const routes = (await routesOf(undefined))
      .filter(({ table }) => table !== ownership.table && table !== TABLE_LOCAL)
      .map((record) => ({ record, route: toHostRoute(record, nameOf) }))
      .filter(({ route }) => !ownsDevice(ownership, route.device) && !route.destination.startsWith("fe80:"));
    const sorted = (isWanted: (record: RouteRecord) => boolean) =>
      routes
        .filter(({ record }) => isWanted(record))
        .map(({ route }) => route)
        .sort(by(({ destination, device }) => `${destination} ${device}`));
    return {
      addresses: withDevices(addresses, nameOf).filter(({ device }) => !ownsDevice(ownership, device)),
      connected: sorted(isConnected),
      routed: sorted((record) => isRouted(record) && record.table === TABLE_MAIN),
      devices: others
        .filter(receivesForOthers)
        .map(({ name, settings }) => ({ name, forwarding: settings.forwarding }))
        .sort(by(({ name }) => name)),
      ipv6Forwarding: await forwardsIpv6(),
    };
  }

  async function forwardsIpv6(): Promise<boolean> {
    let forwarding: boolean | undefined;
    const failure = await route.request(getIpv6Forwarding(ALL_DEVICES), (message, buffer) => {
      forwarding ??= readForwarding(message, buffer);
    });
    if (failure?.errno !== "EOPNOTSUPP") throwFailure("read net.ipv6.conf.all.forwarding", failure);
    return forwarding ?? false;
  }

  async function findLink(name: string): Promise<LinkRecord | undefined> {
    let link: LinkRecord | undefined;
    const failure = await route.request(getLink(name), (message, buffer) => {
      link = readLink(message, buffer);
    });
    if (failure?.errno !== "ENODEV") throwFailure(`read link ${name}`, failure);
    return link;
  }

  /** Undefined where no device is needed. */
  async function indexOf(change: NetworkChange, device: string | undefined): Promise<number | undefined> {
    if (device === undefined) return undefined;
    const link = await findLink(device);
    if (link === undefined) throw kernelError(change, "ENODEV", `no device ${device}`);
    return link.index;
  }

  async function send(change: NetworkChange, message: AttributeWriter, fine: readonly string[] = []): Promise<void> {
    const failure = await route.request(message);
    if (failure !== undefined && !fine.includes(failure.errno)) throw kernelError(change, failure.errno, failure.said);
  }

  async function apply(change: NetworkChange): Promise<void> {
    switch (change.kind) {
      case "add-dummy-link":
        return addDummy(change);
      case "remove-link":
        return send(change, removeLink(change.name), ["ENODEV"]);
      case "set-link":
        return send(change, setLink(change));
      case "set-settings":
        return send(change, setSettings(change.settings));
      case "add-address": {
        const index = await indexOf(change, change.address.device);
        return send(change, addAddress(index ?? 0, change.address.address));
      }
      case "remove-address": {
        const link = await findLink(change.address.device);
        if (link === undefined) return; // went with its device
        return send(change, removeAddress(link.index, change.address.address), ["EADDRNOTAVAIL"]);
      }
      case "replace-nexthop":
        return send(change, replaceNexthop(change.nexthop, await indexOf(change, deviceOfNexthop(change.nexthop))));
      case "remove-nexthop":
        return send(change, removeNexthop(change.id), ["ENOENT"]);
      case "replace-route":
        return send(change, replaceRoute(change.route, await indexOf(change, deviceOfRoute(change.route))));
      case "remove-route": {
        const device = deviceOfRoute(change.route);
        const link = device === undefined ? undefined : await findLink(device);
        if (device !== undefined && link === undefined) return; // went with its device
        return send(change, removeRoute(change.route, link?.index), ["ESRCH", "ENOENT"]);
      }
      case "add-rule":
        return send(change, addRule(change.rule), ["EEXIST"]);
      case "remove-rule":
        return send(change, removeRule(change.rule), ["ENOENT"]);
      default:
        change satisfies never;
    }
  }

  async function addDummy(change: Extract<NetworkChange, { kind: "add-dummy-link" }>): Promise<void> {
    let failure: Failure | undefined = await route.request(addLink({ ...change, kind: "dummy" }));
    if (failure?.errno === "EOPNOTSUPP") failure = await route.request(addLink({ ...change, kind: "bridge" }));
    if (failure?.errno === "EEXIST" && isDummy(await findLink(change.name))) return;
    if (failure !== undefined) throw kernelError(change, failure.errno, failure.said);
  }

  return { observe, host, watch, apply };
}

function toObservedLink(link: LinkRecord, ownership: Ownership, laneKind: NetworkOptions["laneKind"]): ObservedLink {
  const { name, mtuBytes, up } = link;
  if (name === ownership.stableDevice) return { kind: isDummy(link) ? "dummy" : "other", name, mtuBytes, up };
  return { kind: link.kind === laneKind ? "wireguard" : "other", name, mtuBytes, up };
}

/** A bridge without ports holds an address as well as a dummy does, on kernels built without the latter. */
function isDummy(link: LinkRecord | undefined): boolean {
  return link?.kind === "dummy" || link?.kind === "bridge";
}

/** What is sent by a dummy or to oneself never came from another machine. */
function receivesForOthers({ kind, loopback }: LinkRecord): boolean {
  return kind !== "dummy" && !loopback;
}

function toHostRoute(
  { index = 0, destination, table }: RouteRecord,
  nameOf: (index: number) => string | undefined,
): HostRoute {
  return { device: nameOf(index) ?? "", destination, table };
}

function deviceOfNexthop(nexthop: Nexthop): string | undefined {
  return nexthop.kind === "device" ? nexthop.device : undefined;
}

function deviceOfRoute({ target }: Route | ObservedRoute): string | undefined {
  return target.kind === "device" ? target.device : undefined;
}

function names(links: readonly LinkRecord[]): (index: number) => string | undefined {
  const byIndex = new Map(links.map(({ index, name }) => [index, name]));
  return (index) => byIndex.get(index);
}

function withDevices(records: readonly AddressRecord[], nameOf: (index: number) => string | undefined) {
  return records
    .filter(({ linkLocal }) => !linkLocal)
    .map(({ index, address }) => ({ device: nameOf(index) ?? "", address }))
    .sort(by(({ device, address }) => `${device} ${address}`));
}
