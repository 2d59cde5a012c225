/** @module An entry in the fields of the Elastic Common Schema 8.17 (elastic.co/docs/reference/ecs). Pure. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { AuditActorKind, type AuditEntry } from "@spanwire/proto/audit";
import { type Classified, classify } from "./classify.ts";
import { splitAddress } from "./split-address.ts";

export const ECS_VERSION = "8.17.0";
const CATEGORIES = {
  api: "api",
  authentication: "authentication",
  entity: "configuration",
  tunnel: "network",
} as const;
const TYPES: Readonly<Record<Classified["activity"], string>> = {
  create: "creation",
  read: "access",
  update: "change",
  delete: "deletion",
  logon: "start",
  open: "start",
  close: "end",
  renew: "change",
  other: "info",
};

/** The document; `proof` is carried along unread. */
export function toEcs(entry: AuditEntry, meshId: string, proof: object): object {
  const { kind, activity } = classify(entry);
  const { action, refusal, message, count, firstTime, time, sequence, hub, target, tokenId, before, after } = entry;
  const { ip, port } = splitAddress(entry.address);
  const { actor } = entry;
  const isRefused = refusal !== "";
  return {
    "@timestamp": time === undefined ? "" : timestampDate(time).toISOString(),
    ecs: { version: ECS_VERSION },
    message: message === "" ? `${action} ${target}`.trim() : message,
    event: {
      kind: "event",
      category: [CATEGORIES[kind]],
      type: isRefused && kind === "api" ? [TYPES[activity], "denied"] : [TYPES[activity]],
      action,
      outcome: isRefused ? "failure" : "success",
      ...(isRefused ? { reason: refusal } : {}),
      ...(firstTime === undefined ? {} : { start: timestampDate(firstTime).toISOString() }),
      id: `${meshId}/${sequence}`,
      sequence: Number(sequence),
      dataset: "spanwire.audit",
      provider: "spanwire-hub",
    },
    service: { type: "spanwire", name: "spanwire-hub", node: { name: hub } },
    ...(ip === undefined ? {} : { source: { ip, address: ip, ...(port === undefined ? {} : { port }) } }),
    ...(actor === undefined || actor.kind === AuditActorKind.NOBODY
      ? {}
      : {
          user: { name: actor.name === "" ? "hub" : actor.name, ...(actor.role === "" ? {} : { roles: [actor.role] }) },
        }),
    spanwire: {
      mesh: meshId,
      ...(target === "" ? {} : { target }),
      ...(tokenId === "" ? {} : { token_id: tokenId }),
      ...(before === "" ? {} : { before }),
      ...(after === "" ? {} : { after }),
      ...(count > 1 ? { count } : {}),
      proof,
    },
  };
}
