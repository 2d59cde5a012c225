/** @module Whether the hub may store what a gateway says of itself. */
import type { Endpoint, Epoch, PlaneKey, Statement } from "@spanwire/proto/record";
import { Plane } from "@spanwire/proto/record";
import { containsIp } from "../address/cidr.ts";
import { findHost } from "../address/host.ts";
import { parseOverlay } from "../address/overlay.ts";
import { planeOfEpoch } from "../desired/lane.ts";
import { equalBytes } from "../records/digest.ts";
import { gatewayKey } from "../records/key.ts";
import { compareOrders, formatOrder, type Order } from "../records/order.ts";
import { type Refused, refuse } from "./refusal.ts";
import type { Registry } from "./registry.ts";

export interface StatementOffer {
  /** Who sent it, as NATS vouches for by the subject. */
  readonly sender: { readonly clusterId: string; readonly ordinal: number };
  readonly statement: Statement;
  readonly order: Order;
  /** Whether the very same bytes are stored. */
  readonly isStored: boolean;
  readonly epoch: Epoch;
}

export type StatementVerdict =
  | { readonly ok: true /** False for a retry. */; readonly store: boolean }
  | (Refused & { /** What is stored, when that is why. */ readonly held?: Order });

const MAX_ENDPOINTS = 16;
const MAX_KEYS = 2;
const MAX_FEATURES = 64;
const MAX_NAME_LENGTH = 64;

/** Judges a statement whose signature was verified with the identity that is admitted for the sender. */
export function judgeStatement(registry: Registry, offer: StatementOffer): StatementVerdict {
  const { sender, order, isStored, statement } = offer;
  const name = `${sender.clusterId}.${sender.ordinal}`;
  const gateways = registry.admissions.get(sender.clusterId)?.gateways ?? [];
  const gateway = gateways.find(({ ordinal }) => ordinal === sender.ordinal);
  if (gateway === undefined) return refuse("UNKNOWN_GATEWAY", `gateway ${name} is not admitted: join again`);
  if (statement.clusterId !== sender.clusterId || statement.ordinal !== sender.ordinal) {
    const claimed = `${statement.clusterId}.${statement.ordinal}`;
    return refuse("BAD_STATEMENT", `statement of ${claimed}: sent by gateway ${name}, which speaks for itself only`);
  }
  if (order.incarnation !== gateway.incarnation || order.generation === 0n) {
    const message = `statement of ${name}: its order ${formatOrder(order)} must be ${gateway.incarnation}.1 or later`;
    return refuse("STALE_ORDER", message);
  }
  if (isStored) return { ok: true, store: false };
  return (
    objectionToOrder(registry, name, offer) ??
    objectionToContent(registry, name, statement) ??
    objectionToKeys(registry, name, offer) ?? { ok: true, store: true }
  );
}

function objectionToOrder(
  registry: Registry,
  name: string,
  { sender, order }: StatementOffer,
): StatementVerdict | undefined {
  const held = registry.orderOf(gatewayKey(sender.clusterId, sender.ordinal));
  if (held === undefined) return undefined;
  const comparison = compareOrders(order, held);
  if (comparison > 0) return undefined;
  const stored = `order ${formatOrder(held)} is stored`;
  if (comparison < 0)
    return { ...refuse("STALE_ORDER", `statement of ${name} at order ${formatOrder(order)}: ${stored}`), held };
  return { ...refuse("FORK", `statement of ${name}: other bytes are stored at its order ${formatOrder(held)}`), held };
}

function objectionToContent(registry: Registry, name: string, statement: Statement): Refused | undefined {
  const { endpoints, keys, features, agentVersion } = statement;
  const texts = [agentVersion, ...features];
  if (
    endpoints.length > MAX_ENDPOINTS ||
    keys.length > MAX_KEYS ||
    features.length > MAX_FEATURES ||
    texts.some((text) => text.length > MAX_NAME_LENGTH)
  ) {
    const limits = `${MAX_ENDPOINTS} endpoints, ${MAX_KEYS} keys, ${MAX_FEATURES} features of ${MAX_NAME_LENGTH} characters`;
    return refuse("BAD_STATEMENT", `statement of ${name} is too large: at most ${limits}`);
  }
  for (const endpoint of endpoints) {
    const objection = objectionToEndpoint(registry, name, endpoint);
    if (objection !== undefined) return objection;
  }
  return undefined;
}

function objectionToEndpoint(registry: Registry, name: string, endpoint: Endpoint): Refused | undefined {
  const what = `endpoint ${JSON.stringify(endpoint.host)} of gateway ${name}`;
  const host = findHost(endpoint.host);
  if (host === undefined) return refuse("BAD_ENDPOINT", `${what} is neither an IP address nor a DNS name`);
  const lanes = 2 * registry.mesh.maxGateways;
  const ports = endpoint.ports.length > 0 ? endpoint.ports : [endpoint.basePort, endpoint.basePort + lanes - 1];
  if (endpoint.ports.length > 2 * 16 || ports.some((port) => port < 1 || port > 65_535)) {
    return refuse("BAD_ENDPOINT", `${what}: ${lanes} ports from base_port on, or those listed, must be 1 to 65535`);
  }
  if (host.kind === "name") return undefined;
  const { ip } = host;
  const overlay = parseOverlay(registry.mesh)[ip.family];
  if (containsIp(overlay, ip))
    return refuse("ENDPOINT_IN_MESH", `${what} lies in ${overlay.text}, the mesh's own range`);
  for (const admission of registry.admissions.values()) {
    const prefix = registry.prefixesOf(admission).find((each) => containsIp(each, ip));
    if (prefix === undefined) continue;
    const message = `${what} lies in ${prefix.text} of cluster "${admission.clusterId}": it could only be reached by a tunnel`;
    return refuse("ENDPOINT_IN_MESH", message);
  }
  return undefined;
}

function objectionToKeys(
  registry: Registry,
  name: string,
  { statement, sender, epoch }: StatementOffer,
): Refused | undefined {
  const last = epoch.opening ?? epoch.active;
  const epochs = new Set(statement.keys.map((key) => key.epoch));
  if (epochs.size < statement.keys.length || statement.keys.some((key) => !isWellFormed(key))) {
    return refuse(
      "BAD_STATEMENT",
      `statement of ${name}: keys are 32 bytes, one for each epoch, on that epoch's plane`,
    );
  }
  const early = statement.keys.find((key) => key.epoch > last);
  if (early !== undefined)
    return refuse("EPOCH_UNKNOWN", `statement of ${name}: epoch ${early.epoch} is not open; the last is ${last}`);
  const own = gatewayKey(sender.clusterId, sender.ordinal);
  for (const [key, held] of registry.statements) {
    if (key === own || !held.statement.keys.some((theirs) => statement.keys.some((ours) => isSameClaim(ours, theirs))))
      continue;
    return refuse("KEY_CLAIMED", `statement of ${name}: record "${key}" stored one of its WireGuard public keys first`);
  }
  return undefined;
}

function isWellFormed({ plane, epoch, publicKey }: PlaneKey): boolean {
  return publicKey.length === 32 && plane === (planeOfEpoch(epoch) === "a" ? Plane.A : Plane.B);
}

function isSameClaim(a: PlaneKey, b: PlaneKey): boolean {
  return a.epoch === b.epoch && equalBytes(a.publicKey, b.publicKey);
}
