/** @module What compiling every cluster has in common: read once from map and host, the same object until it changes. */
import type { Admission, Epoch, LinkPolicy, Mesh } from "@spanwire/proto/record";
import { type Cidr, hostCidr, parseCidr } from "../address/cidr.ts";
import { type Family, formatIp, parseIp } from "../address/ip.ts";
import { type OverlayKind, type OverlayRange, overlayAddress, parseOverlay } from "../address/overlay.ts";
import { ownedRanges } from "../address/ranges.ts";
import { type EpochView, openEpochs } from "../rotation/epoch.ts";
import { readEpoch } from "../rotation/read-epoch.ts";
import { planeKind, planeOfEpoch } from "./lane.ts";
import type { LocalFacts, OwnKey } from "./local-facts.ts";
import { findMember, type Member } from "./member.ts";
import type { Plane } from "./state.ts";

export interface Context {
  readonly local: LocalFacts;
  readonly overlay: OverlayRange;
  readonly maxGateways: number;
  readonly policy: LinkPolicy;
  readonly epoch: Omit<EpochView, "generation">;
  /** The active epoch's first, or the one that takes its place. */
  readonly planes: readonly PlaneInUse[];
  /** Our own cluster; undefined while it is not admitted. */
  readonly own: Member | undefined;
  /** Its prefixes and its overlay block; none while it is not admitted. */
  readonly ownRanges: readonly Cidr[];
  /** Whether our own ordinal is admitted: without it there are no lanes. */
  readonly isAdmitted: boolean;
  /** Our own addresses, as sources of routes: the stable one, and the plane's for what must stay on its plane. */
  readonly sources: Readonly<Record<"stable" | Plane, Readonly<Record<Family, string>>>> | undefined;
  /** Whether our own statement lists an endpoint, so that a remote without one can dial us. */
  readonly isReachable: boolean;
  /** What the lanes carry. */
  readonly carried: readonly Family[];
  /** What blackholes cover: whatever the kernel can route. */
  readonly routable: readonly Family[];
  /** What stays local whatever the map says: connected subnets and the control addresses. */
  readonly kept: readonly Cidr[];
  /** The first of the two, with the device of each. */
  readonly connected: readonly ConnectedNetwork[];
  readonly control: readonly Cidr[];
  readonly localRoutes: readonly Cidr[];
}

export interface ConnectedNetwork {
  readonly cidr: Cidr;
  readonly device: string;
}

export interface PlaneInUse {
  readonly plane: Plane;
  readonly epoch: bigint;
  readonly key: OwnKey | undefined;
}

/** Everything a context is read from: inputs that are equal by reference give an equal context. */
export interface ContextInputs {
  readonly mesh: Mesh | undefined;
  readonly epoch: Epoch | undefined;
  readonly policy: LinkPolicy | undefined;
  /** Of our own cluster. */
  readonly admission: Admission | undefined;
  readonly isReachable: boolean;
  readonly local: LocalFacts;
}

export function sameInputs(a: ContextInputs, b: ContextInputs): boolean {
  return (
    a.mesh === b.mesh &&
    a.epoch === b.epoch &&
    a.policy === b.policy &&
    a.admission === b.admission &&
    a.isReachable === b.isReachable &&
    a.local === b.local
  );
}

/** Undefined until the map holds mesh, epoch and link policy. Throws `invalid` for local facts that do not parse. */
export function readContext(inputs: ContextInputs): Context | undefined {
  const { mesh, epoch, policy, admission, isReachable, local } = inputs;
  if (mesh === undefined || epoch === undefined || policy === undefined) return undefined;
  const { maxGateways } = mesh;
  const overlay = parseOverlay(mesh);
  const own = admission && findMember(admission, { overlay, maxGateways });
  const view = readEpoch(epoch, 0n);
  const connected = local.connected.map(({ device, network }) => ({ cidr: parseCidr(network), device }));
  const control = local.control.map((address) => hostCidr(parseIp(address)));
  return {
    local,
    overlay,
    maxGateways,
    policy,
    epoch: view,
    planes: planesInUse(view, local.keys),
    own,
    ownRanges: own === undefined ? [] : ownedRanges(overlay, own),
    isAdmitted: own?.gateways.some((gateway) => gateway.ordinal === local.ordinal) ?? false,
    sources: own && ownAddresses(overlay, own.block, local.ordinal),
    isReachable,
    carried: local.ipv6 === "routed" ? ["ipv4", "ipv6"] : ["ipv4"],
    routable: local.ipv6 === "off" ? ["ipv4"] : ["ipv4", "ipv6"],
    kept: distinct([...connected.map(({ cidr }) => cidr), ...control]),
    connected,
    control,
    localRoutes: local.localRoutes.map(parseCidr),
  };
}

/** A network may be on several devices. */
function distinct(prefixes: readonly Cidr[]): readonly Cidr[] {
  return [...new Map(prefixes.map((prefix) => [prefix.text, prefix])).values()];
}

/** Of a plane the epoch that we hold a key for: while a pair is left on a former one, there is none for the next. */
function planesInUse(epoch: Context["epoch"], keys: readonly OwnKey[]): readonly PlaneInUse[] {
  const epochs = [...openEpochs(epoch), ...keys.map((key) => key.epoch)];
  return [...new Set(epochs.map(planeOfEpoch))].map((plane) => {
    const key = keys.find((each) => planeOfEpoch(each.epoch) === plane);
    const named = epochs.find((each) => planeOfEpoch(each) === plane);
    return { plane, epoch: key?.epoch ?? named ?? epoch.active, key };
  });
}

function ownAddresses(overlay: OverlayRange, index: number, ordinal: number): NonNullable<Context["sources"]> {
  const addresses = (kind: OverlayKind): Record<Family, string> => ({
    ipv4: formatIp(overlayAddress(overlay, { index, kind, ordinal }, "ipv4")),
    ipv6: formatIp(overlayAddress(overlay, { index, kind, ordinal }, "ipv6")),
  });
  return { stable: addresses("stable"), a: addresses(planeKind("a")), b: addresses(planeKind("b")) };
}
