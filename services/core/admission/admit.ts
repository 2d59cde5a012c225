/** @module The decision on Register: which gateway the caller becomes, or why it does not. */
import { create } from "@bufbuild/protobuf";
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { type Admission, AdmissionSchema, type AdmittedGateway, AdmittedGatewaySchema } from "@spanwire/proto/record";
import type { Registration } from "@spanwire/proto/registration";
import { equalBytes } from "../records/digest.ts";
import { clusterKey } from "../records/key.ts";
import type { Order } from "../records/order.ts";
import { findFreeBlock } from "./block.ts";
import { nextClusterOrder, nextGatewayIncarnation } from "./incarnation.ts";
import { sameLabels } from "./labels.ts";
import { chooseOrdinal } from "./ordinal.ts";
import { judgePrefixes, sameAnnouncement } from "./prefixes.ts";
import { type Refused, refuse } from "./refusal.ts";
import type { Registry } from "./registry.ts";

export interface JoinRequest {
  readonly registration: Omit<Registration, "token" | "workloadToken" | "$typeName" | "$unknown">;
  /** Raw Ed25519; its possession is proven, and the token was judged to be good for the cluster. */
  readonly identityKey: Uint8Array;
  /** The ordinal that the token is bound to. */
  readonly tokenOrdinal: number | undefined;
  /** The lease of a new admission; a known one keeps its own. */
  readonly notAfter: Timestamp | undefined;
}

export interface Admitted {
  readonly ok: true;
  readonly ordinal: number;
  readonly gatewayIncarnation: bigint;
  readonly admission: Admission;
  readonly clusterOrder: Order;
  /** Whether the admission must be written; false for a retry, which gets the answer it had. */
  readonly changed: boolean;
  /** NATS users that this gateway replaces: to revoke and ban for ever. */
  readonly replacedNkeys: readonly string[];
}

/**
 * Decides what a registration becomes. An identity that is admitted already gets the same answer again, whatever has
 * become of the cluster since; a new one gets an incarnation above everything that its ordinal ever had.
 */
export function admit(registry: Registry, request: JoinRequest): Admitted | Refused {
  const { registration, identityKey } = request;
  const { clusterId, nkey } = registration;
  const { holder, userHolder } = findHolders(registry, { identityKey, nkey });
  if (holder !== undefined) {
    const objection = objectionToHolder(holder, request);
    if (objection !== undefined) return objection;
    if (holder.gateway.nkey === nkey) return sameAnswer(registry, holder);
  }
  const objection = objectionToNkey(registry, nkey, userHolder);
  if (objection !== undefined) return objection;

  const cluster = findOrFound(registry, request);
  if ("ok" in cluster) return cluster;
  const chosen = holder ? { ok: true as const, ordinal: holder.gateway.ordinal } : choose(registry, cluster, request);
  if (!chosen.ok) return chosen;
  const { ordinal } = chosen;
  const incarnation = holder?.gateway.incarnation ?? nextGatewayIncarnation(registry, clusterId, ordinal);
  const gateway = create(AdmittedGatewaySchema, { ordinal, identityKey, incarnation, nkey });
  return {
    ok: true,
    ordinal,
    gatewayIncarnation: incarnation,
    admission: create(AdmissionSchema, { ...cluster, gateways: withGateway(cluster.gateways, gateway) }),
    clusterOrder: nextClusterOrder(registry, clusterId),
    changed: true,
    replacedNkeys: cluster.gateways.filter((each) => each.ordinal === ordinal).map((each) => each.nkey),
  };
}

interface Holder {
  readonly admission: Admission;
  readonly gateway: AdmittedGateway;
}

/** Who has the identity, and who has the NATS user. One look at each gateway for both: there may be thousands. */
function findHolders({ admissions }: Registry, { identityKey, nkey }: Pick<AdmittedGateway, "identityKey" | "nkey">) {
  let holder: Holder | undefined;
  let userHolder: Holder | undefined;
  for (const admission of admissions.values()) {
    for (const gateway of admission.gateways) {
      if (equalBytes(gateway.identityKey, identityKey)) holder ??= { admission, gateway };
      if (gateway.nkey === nkey) userHolder ??= { admission, gateway };
    }
  }
  return { holder, userHolder };
}

function objectionToHolder(holder: Holder, { registration, tokenOrdinal }: JoinRequest): Refused | undefined {
  const held = nameOf(holder);
  if (holder.admission.clusterId !== registration.clusterId) {
    const message = `this identity is gateway ${held}: a gateway of cluster "${registration.clusterId}" needs one of its own`;
    return refuse("IDENTITY_IN_USE", message);
  }
  const wanted = tokenOrdinal ?? registration.ordinal;
  if (wanted === undefined || wanted === holder.gateway.ordinal) return undefined;
  const message = `this identity is gateway ${held}: ordinal ${wanted} needs one of its own (another state directory)`;
  return refuse("IDENTITY_IN_USE", message);
}

function sameAnswer(registry: Registry, { admission, gateway }: Holder): Admitted {
  const clusterOrder =
    registry.orderOf(clusterKey(admission.clusterId)) ?? nextClusterOrder(registry, admission.clusterId);
  const { ordinal, incarnation } = gateway;
  return {
    ok: true,
    ordinal,
    gatewayIncarnation: incarnation,
    admission,
    clusterOrder,
    changed: false,
    replacedNkeys: [],
  };
}

function objectionToNkey(registry: Registry, nkey: string, holder: Holder | undefined): Refused | undefined {
  if (registry.isBanned(nkey)) {
    return refuse("NKEY_REVOKED", "this NATS user was revoked: make a new identity (remove the state directory)");
  }
  if (holder === undefined) return undefined;
  return refuse("NKEY_IN_USE", `this NATS user is that of gateway ${nameOf(holder)}: each gateway needs its own`);
}

/** The cluster as it is admitted, or as its first gateway founds it. */
function findOrFound(registry: Registry, { registration, notAfter }: JoinRequest): Admission | Refused {
  const { clusterId, kind, prefixes, labels } = registration;
  const known = registry.admissions.get(clusterId);
  if (known !== undefined) return objectionToRepeat(known, registration) ?? known;

  const judged = judgePrefixes(registry, clusterId, prefixes);
  if (!judged.ok) return judged;
  const overlayIndex = findFreeBlock(registry);
  if (overlayIndex === undefined) {
    const message = `cluster "${clusterId}": all ${registry.admissions.size} blocks of the overlay are taken; delete a cluster`;
    return refuse("OVERLAY_FULL", message);
  }
  const founded = { clusterId, kind, prefixes: [...judged.prefixes], overlayIndex, labels };
  return create(AdmissionSchema, { ...founded, ...(notAfter && { notAfter }) });
}

/** A later gateway repeats what its cluster is, or leaves it out: changing it is an operator's business. */
function objectionToRepeat(
  known: Admission,
  { kind, prefixes, labels }: JoinRequest["registration"],
): Refused | undefined {
  const cluster = `cluster "${known.clusterId}"`;
  if (kind !== known.kind)
    return refuse("KIND_DIFFERS", `${cluster} is of another kind: repeat that of its first gateway`);
  if (prefixes.length > 0 && !sameAnnouncement(prefixes, known.prefixes)) {
    const message = `${cluster} announces ${known.prefixes.join(", ") || "nothing"}: leave prefixes out or repeat them, or change them with: spanwire apply -f`;
    return refuse("PREFIXES_DIFFER", message);
  }
  if (Object.keys(labels).length === 0 || sameLabels(labels, known.labels)) return undefined;
  return refuse(
    "LABELS_DIFFER",
    `${cluster} has other labels: leave them out or repeat them, or change them with: spanwire apply -f`,
  );
}

function choose({ mesh }: Registry, cluster: Admission, request: JoinRequest): ReturnType<typeof chooseOrdinal> {
  return chooseOrdinal({
    clusterId: cluster.clusterId,
    taken: cluster.gateways.map(({ ordinal }) => ordinal),
    maxGateways: mesh.maxGateways,
    tokenOrdinal: request.tokenOrdinal,
    wanted: request.registration.ordinal,
  });
}

function withGateway(gateways: readonly AdmittedGateway[], added: AdmittedGateway): AdmittedGateway[] {
  const others = gateways.filter(({ ordinal }) => ordinal !== added.ordinal);
  return [...others, added].sort((a, b) => a.ordinal - b.ordinal);
}

function nameOf({ admission, gateway }: Holder): string {
  return `${admission.clusterId}.${gateway.ordinal}`;
}
