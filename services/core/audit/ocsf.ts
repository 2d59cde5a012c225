/** @module An entry as an event of the Open Cybersecurity Schema Framework 1.2.0 (schema.ocsf.io). Pure. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import { type AuditActor, AuditActorKind, type AuditEntry } from "@spanwire/proto/audit";
import { type Classified, classify } from "./classify.ts";
import { splitAddress } from "./split-address.ts";

export const OCSF_VERSION = "1.2.0";
const CLASSES = {
  api: { category_uid: 6, class_uid: 6003, class_name: "API Activity" },
  authentication: { category_uid: 3, class_uid: 3002, class_name: "Authentication" },
  entity: { category_uid: 3, class_uid: 3004, class_name: "Entity Management" },
  tunnel: { category_uid: 4, class_uid: 4014, class_name: "Tunnel Activity" },
} as const;
/** 1 to 4 mean other things in each class; what a class has no number for is Other. */
const OTHER = 99;
const CRUD = { create: 1, read: 2, update: 3, delete: 4 } as const;
const ACTIVITIES: Readonly<Record<Classified["kind"], Readonly<Record<string, number>>>> = {
  api: CRUD,
  entity: CRUD,
  authentication: { logon: 1 },
  tunnel: { open: 1, close: 2, renew: 3 },
};
const INFORMATIONAL = 1;
const LOW = 2;
const SUCCESS = 1;
const FAILURE = 2;
const HUB_SERVICE = { name: "spanwire-hub" };

/** The event; `proof` is carried along unread. */
export function toOcsf(entry: AuditEntry, meshId: string, proof: object): object {
  const classified = classify(entry);
  const { category_uid, class_uid, class_name } = CLASSES[classified.kind];
  const activity_id = ACTIVITIES[classified.kind][classified.activity] ?? OTHER;
  const { action, refusal, message, count, firstTime, time, sequence, hub, target, tokenId, before, after } = entry;
  const isRefused = refusal !== "";
  return {
    activity_id,
    activity_name: action,
    category_uid,
    class_uid,
    class_name,
    type_uid: class_uid * 100 + activity_id,
    time: time === undefined ? 0 : timestampMs(time),
    ...(count > 1 ? { count } : {}),
    ...(firstTime === undefined ? {} : { start_time: timestampMs(firstTime) }),
    severity_id: isRefused ? LOW : INFORMATIONAL,
    status_id: isRefused ? FAILURE : SUCCESS,
    status: isRefused ? "Failure" : "Success",
    ...(isRefused ? { status_code: refusal, status_detail: message } : {}),
    message: message === "" ? `${action} ${target}`.trim() : message,
    metadata: {
      version: OCSF_VERSION,
      product: { name: "Spanwire", vendor_name: "Spanwire" },
      log_name: "sw-audit",
      log_provider: hub,
      uid: `${meshId}/${sequence}`,
      sequence: Number(sequence),
    },
    ...byClass(classified.kind, entry, meshId),
    unmapped: {
      mesh_id: meshId,
      ...(tokenId === "" ? {} : { token_id: tokenId }),
      ...(before === "" ? {} : { before }),
      ...(after === "" ? {} : { after }),
      proof,
    },
  };
}

function byClass(kind: Classified["kind"], entry: AuditEntry, meshId: string): object {
  const { action, target, message, tokenId } = entry;
  const source = { src_endpoint: endpointOf(entry) };
  const user = userOf(entry.actor);
  const actor = { actor: { user } };
  switch (kind) {
    case "api":
      return {
        ...source,
        ...actor,
        api: { operation: action, service: HUB_SERVICE },
        ...(target === "" ? {} : { resources: [{ uid: target, name: target }] }),
      };
    case "authentication":
      return {
        ...source,
        user: { ...user, ...(tokenId === "" ? {} : { credential_uid: tokenId }) },
        service: HUB_SERVICE,
        dst_endpoint: { name: "spanwire-hub" },
        is_remote: true,
      };
    case "entity":
      return {
        ...source,
        ...actor,
        entity: entityOf(target, entry.before),
        ...(entry.after === "" ? {} : { entity_result: entityOf(target, entry.after) }),
        ...(message === "" ? {} : { comment: message }),
      };
    case "tunnel":
      return {
        ...source,
        user,
        protocol_name: "WireGuard",
        device: { type_id: OTHER, type: "gateway", uid: `${meshId}/${target}`, name: target },
        tunnel_interface: { name: target, type_id: OTHER },
      };
    default:
      return kind satisfies never;
  }
}

function entityOf(target: string, data: string): object {
  const [type = target] = target.split(".");
  return { uid: target, name: target, type, ...(data === "" ? {} : { data }) };
}

function endpointOf({ address, hub, actor }: AuditEntry): object {
  const { ip, port } = splitAddress(address);
  if (ip !== undefined) return { ip, ...(port === undefined ? {} : { port }) };
  return { name: actor?.kind === AuditActorKind.GATEWAY ? actor.name : `spanwire-hub ${hub}` };
}

function userOf(actor: AuditActor | undefined): object {
  switch (actor?.kind) {
    case AuditActorKind.OPERATOR: {
      const isAdmin = actor.role === "admin";
      return {
        name: actor.name,
        uid: `operator/${actor.name}`,
        type_id: isAdmin ? 2 : 1,
        groups: [{ name: actor.role }],
      };
    }
    case AuditActorKind.GATEWAY:
      return { name: actor.name, uid: `gateway/${actor.name}`, type_id: 3 };
    case AuditActorKind.HUB:
      return { name: "hub", uid: "hub", type_id: 3 };
    default:
      return { name: "unknown", type_id: 0 };
  }
}
