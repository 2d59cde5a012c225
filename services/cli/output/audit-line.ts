/** @module One entry of the audit log as a line for a person. */
import { timestampDate } from "@bufbuild/protobuf/wkt";
import { type AuditActor, AuditActorKind, type AuditEntry } from "@spanwire/proto/audit";

/** "2026-11-21T12:00:01Z  operator alice (admin)  192.0.2.1:50312  token.create token.k7pd…" */
export function auditLine(entry: AuditEntry): string {
  const { time, actor, address, action, target, refusal, message, count, tokenId } = entry;
  const when = time === undefined ? "?" : timestampDate(time).toISOString();
  const what = [action, target].filter((text) => text !== "").join(" ");
  const token = tokenId === "" || target.includes(tokenId) ? "" : ` (token ${tokenId})`;
  const times = count > 1 ? `, ${count} times` : "";
  const outcome = refusal === "" ? "" : `  refused ${refusal}${times}`;
  const why = message === "" ? "" : `: ${message}`;
  return `${[when, who(actor), address].filter((text) => text !== "").join("  ")}  ${what}${token}${outcome}${why}\n`;
}

function who(actor: AuditActor | undefined): string {
  switch (actor?.kind) {
    case AuditActorKind.OPERATOR:
      return `${actor.role} ${actor.name}`;
    case AuditActorKind.GATEWAY:
      return `gateway ${actor.name}`;
    case AuditActorKind.HUB:
      return "hub";
    default:
      return "nobody";
  }
}
