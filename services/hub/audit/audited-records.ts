/**
 * @module Records in the audit log: what agents send over NATS, which proves by the subject which gateway it comes from, and
 * what happens to the store of them.
 */
import { type GatewayRef, parseUpSubject } from "@spanwire/core/subjects";
import type { StoreReply } from "@spanwire/proto/agent";
import { PayloadSchema } from "@spanwire/proto/record";
import type { Dropped } from "../distribution/answer.ts";
import type { StoredRecord } from "../distribution/store-record.ts";
import type { MapIncident } from "../state/mesh-view.ts";
import type { RecordEntry } from "./recorder.ts";
import { stateJson } from "./state-json.ts";

export interface AuditedRecords {
  onIncident(incident: MapIncident): void;
  onStored(from: GatewayRef, stored: StoredRecord): void;
  onAnswered(from: GatewayRef, reply: StoreReply): void;
  onDropped(dropped: Dropped): void;
}

const HUB = { actor: { kind: "hub" } } as const;
/** What is no decision about the sender. */
const NO_REFUSALS = new Set<string>(["NOT_CURRENT", "FAILED", "STORE_AWAY", "BUSY", "NOT_READY"]);

export function createAuditedRecords(record: RecordEntry): AuditedRecords {
  return {
    onIncident(incident) {
      switch (incident.kind) {
        case "refused":
          record({
            ...HUB,
            action: "map.refuse",
            target: incident.key,
            refusal: incident.reason,
            message: incident.message,
          });
          return;
        case "lost":
          record({
            ...HUB,
            action: "map.restore",
            message: "the store has lost records",
            before: JSON.stringify(incident.keys),
          });
          return;
        case "lineage":
          record({ ...HUB, action: "map.lineage", before: `${incident.from}`, after: `${incident.to}` });
          return;
        case "unavailable":
          return; // changes nothing
        default:
          incident satisfies never;
      }
    },
    onStored(from, { before, record: { key, payload } }) {
      const isOwn = payload.body.case === "statement";
      record({
        action: isOwn ? "statement.store" : "record.restore",
        actor: actorOf(from),
        target: key,
        before: stateJson(PayloadSchema, before?.payload),
        after: stateJson(PayloadSchema, payload),
      });
    },
    onAnswered(from, { outcome }) {
      if (outcome.case !== "refused" || NO_REFUSALS.has(outcome.value.reason)) return;
      const { reason, message } = outcome.value;
      record({ action: "statement.store", actor: actorOf(from), refusal: reason, message });
    },
    onDropped({ subject, reason }) {
      if (NO_REFUSALS.has(reason)) return;
      const from = parseUpSubject(subject);
      const actor = from === undefined ? ({ kind: "nobody" } as const) : actorOf(from);
      record({ action: from?.kind ?? "message", actor, refusal: reason });
    },
  };
}

function actorOf({ clusterId, ordinal }: GatewayRef) {
  return { kind: "gateway", name: `${clusterId}/${ordinal}` } as const;
}
