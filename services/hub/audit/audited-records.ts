/** @module What agents send over NATS, in the audit log: NATS itself proves by the subject which gateway it comes from. */
import { type GatewayRef, parseUpSubject } from "@spanwire/core/subjects";
import type { StoreReply } from "@spanwire/proto/agent";
import { PayloadSchema } from "@spanwire/proto/record";
import type { Dropped } from "../distribution/answer.ts";
import type { StoredRecord } from "../distribution/store-record.ts";
import type { RecordEntry } from "./recorder.ts";
import { stateJson } from "./state-json.ts";

export interface AuditedRecords {
  onStored(from: GatewayRef, stored: StoredRecord): void;
  onAnswered(from: GatewayRef, reply: StoreReply): void;
  onDropped(dropped: Dropped): void;
}

/** What is no decision about the sender. */
const NO_REFUSALS = new Set<string>(["NOT_CURRENT", "FAILED", "STORE_AWAY", "BUSY", "NOT_READY"]);

export function createAuditedRecords(record: RecordEntry): AuditedRecords {
  return {
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
