/** @module What calls of the hub's two ports leave in the audit log: each change that a handler names, and each refusal. */
import type { AuditFacts } from "@spanwire/core/audit/entry";
import { SpanwireError } from "@spanwire/core/errors";
import type { CallContext } from "@spanwire/runtime/grpc/context";
import type { Interceptor } from "@spanwire/runtime/grpc/interceptor";
import { parseSpiffeId } from "../authority/spiffe-id.ts";
import type { RecordEntry } from "./recorder.ts";

/** The audit of one call. */
export interface CallAudit {
  /** What the entries of this call say besides; a refusal that comes later, too. */
  about(facts: Partial<Pick<AuditFacts, "actor" | "target" | "tokenId">>): void;
  /** A change that was made. */
  changed(change: Pick<AuditFacts, "action" | "target" | "before" | "after" | "message">): void;
}

export interface AuditedCalls {
  of(context: CallContext): CallAudit;
  /** Writes down what any call is refused with; to be put around whatever may refuse. */
  readonly interceptor: Interceptor;
}

/** Somebody was faster: no decision about the caller. What is `unavailable` is none, either. */
const NO_REFUSALS = new Set(["BUSY"]);

export function createAuditedCalls({
  record,
  meshId,
}: {
  readonly record: RecordEntry;
  readonly meshId: string;
}): AuditedCalls {
  const known = new WeakMap<CallContext, Partial<AuditFacts>>();
  const factsOf = (context: CallContext) => {
    return { actor: actorOf(context, meshId), address: context.peer.address, ...known.get(context) };
  };
  return {
    of: (context) => ({
      about: (facts) => void known.set(context, { ...known.get(context), ...facts }),
      changed: (change) => record({ ...factsOf(context), ...change }),
    }),
    async interceptor({ method, context }, next) {
      try {
        await next();
      } catch (error) {
        if (isRefusal(error)) {
          record({ ...factsOf(context), action: method.name, refusal: error.reason, message: error.message });
        }
        throw error;
      }
    },
  };
}

function isRefusal(error: unknown): error is SpanwireError {
  return error instanceof SpanwireError && error.code !== "unavailable" && !NO_REFUSALS.has(error.reason);
}

/** As the certificate proves it. */
function actorOf({ peer }: CallContext, meshId: string): AuditFacts["actor"] {
  const spiffeId = peer.certificate?.spiffeId;
  const name = spiffeId === undefined ? undefined : parseSpiffeId(spiffeId);
  if (name === undefined || name.meshId !== meshId) return { kind: "nobody" };
  if (name.kind === "operator") return { kind: "operator", name: name.name, role: name.role };
  return { kind: "gateway", name: `${name.clusterId}/${name.ordinal}` };
}
