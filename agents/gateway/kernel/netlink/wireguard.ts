/** @module WireGuardPort over netlink: devices by rtnetlink, what is in them by generic netlink's family "wireguard". */
import { randomBytes } from "@spanwire/runtime/crypto/random";
import type { DeviceChange, WireGuardChange } from "../change.ts";
import { kernelError } from "../kernel-error.ts";
import type { ObservedWireGuard, WireGuardPort } from "../port.ts";
import { type NetlinkConnection, throwFailure } from "./connection.ts";
import type { Failure } from "./failure.ts";
import { getFamily, readFamilyId } from "./generic-messages.ts";
import { addLink, getLink, readLink, removeLink } from "./link-messages.ts";
import { WIREGUARD_FAMILY } from "./wireguard-attributes.ts";
import { createDeviceReader } from "./wireguard-decode.ts";
import { encodeDeviceChange, getDevice, type RemovalMethod } from "./wireguard-encode.ts";

export interface WireGuardOptions {
  readonly generic: NetlinkConnection;
  readonly route: NetlinkConnection;
  /** Whether the kernel knows WGALLOWEDIP_F_REMOVE_ME. */
  readonly hasRemovalFlag: boolean;
}

type RemoveAllowedIps = Extract<DeviceChange, { kind: "remove-allowed-ips" }>;

export function createNetlinkWireGuard({ generic, route, hasRemovalFlag }: WireGuardOptions): WireGuardPort {
  let familyId: number | undefined;

  async function getFamilyId(): Promise<number> {
    familyId ??= await readWireGuardFamily(generic);
    if (familyId !== undefined) return familyId;
    throw kernelError("find the generic netlink family wireguard", "ENOENT", "this kernel has no WireGuard");
  }

  async function observe(device: string): Promise<ObservedWireGuard | undefined> {
    const family = await getFamilyId();
    let reader = createDeviceReader(device);
    const failure = await generic.dump(
      () => getDevice(family, device),
      () => {
        reader = createDeviceReader(device);
        return reader.read;
      },
    );
    if (failure?.errno === "ENODEV" || failure?.errno === "EOPNOTSUPP") return undefined; // gone, or another kind
    throwFailure(`read device ${device}`, failure);
    return reader.finish();
  }

  async function configure(change: DeviceChange): Promise<void> {
    const removal: RemovalMethod = hasRemovalFlag ? { kind: "flag" } : { kind: "dummy-peer", key: randomBytes(32) };
    for (const message of encodeDeviceChange(await getFamilyId(), change, removal)) {
      expect(change, await generic.request(message), []);
    }
  }

  /** The dummy peer would take a prefix from anybody, so only what this peer owns at this moment is given to it. */
  async function stillOwned(change: RemoveAllowedIps): Promise<RemoveAllowedIps> {
    const device = await observe(change.device);
    const owned = new Set(device?.peers.find(({ publicKey }) => publicKey === change.publicKey)?.allowedIps);
    return { ...change, allowedIps: change.allowedIps.filter((prefix) => owned.has(prefix)) };
  }

  return {
    observe,
    apply: async (change) => {
      switch (change.kind) {
        case "add-wireguard-link":
          return addDevice(route, change);
        case "remove-wireguard-link":
          return expect(change, await route.request(removeLink(change.name)), ["ENODEV"]);
        case "remove-allowed-ips":
          return configure(hasRemovalFlag ? change : await stillOwned(change));
        default:
          return configure(change);
      }
    },
  };
}

/** The number of the family, undefined where the kernel has no WireGuard. Loads the module if there is one. */
export async function readWireGuardFamily(generic: NetlinkConnection): Promise<number | undefined> {
  let id: number | undefined;
  const failure = await generic.request(getFamily(WIREGUARD_FAMILY), (message, buffer) => {
    id = readFamilyId(message, buffer);
  });
  if (failure?.errno !== "ENOENT") throwFailure("find the generic netlink family wireguard", failure);
  return id;
}

async function addDevice(
  route: NetlinkConnection,
  change: Extract<WireGuardChange, { kind: "add-wireguard-link" }>,
): Promise<void> {
  const failure = await route.request(addLink({ ...change, kind: "wireguard" }));
  if (failure?.errno === "EEXIST" && (await readKind(route, change.name)) === "wireguard") return;
  if (failure?.errno === "EOPNOTSUPP") throw kernelError(change, failure.errno, "this kernel has no WireGuard");
  expect(change, failure, []);
}

async function readKind(route: NetlinkConnection, name: string): Promise<string | undefined> {
  let kind: string | undefined;
  await route.request(getLink(name), (message, buffer) => {
    kind = readLink(message, buffer)?.kind;
  });
  return kind;
}

function expect(change: WireGuardChange, failure: Failure | undefined, fine: readonly string[]): void {
  if (failure !== undefined && !fine.includes(failure.errno)) throw kernelError(change, failure.errno, failure.said);
}
