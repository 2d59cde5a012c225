/** @module The link policy for operators: read, tried, set. */
import { create, equals } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Registry } from "@spanwire/core/admission/registry";
import { listPolicyChanges, type PolicyChange } from "@spanwire/core/policy/changes";
import type { Party } from "@spanwire/core/policy/pair";
import { policyMembers, validatePolicy } from "@spanwire/core/policy/validate";
import { LINK_POLICY_KEY } from "@spanwire/core/records/key";
import { sealRecord } from "@spanwire/core/records/seal";
import type { FleetService } from "@spanwire/proto/fleet";
import { type LinkPolicy, LinkPolicySchema } from "@spanwire/proto/record";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import type { Handlers } from "@spanwire/runtime/grpc/handlers";
import { InvalidRequest } from "@spanwire/runtime/grpc/invalid-request";
import type { CallAudit } from "../audit/audited-calls.ts";
import { stateJson } from "../audit/state-json.ts";
import { refusal } from "../refusal.ts";
import type { FleetOptions } from "./fleet-service.ts";

export function linkPolicyHandlers(
  options: FleetOptions,
): Pick<Handlers<typeof FleetService>, "getLinkPolicy" | "setLinkPolicy"> {
  return {
    async getLinkPolicy() {
      options.writer.registry();
      const { policy, generation } = readPolicy(options);
      return { policy, generation };
    },
    async setLinkPolicy({ policy = create(LinkPolicySchema), expectedGeneration, dryRun }, context) {
      const call = options.audit.calls.of(context);
      call.about({ target: LINK_POLICY_KEY });
      return setPolicy(options, { policy, expectedGeneration, dryRun, call, signal: context.signal });
    },
  };
}

interface Wanted {
  readonly policy: LinkPolicy;
  /** The generation the change was made from; undefined writes over any. */
  readonly expectedGeneration: bigint | undefined;
  readonly dryRun: boolean;
  readonly call: CallAudit;
  readonly signal: AbortSignal;
}

interface Outcome {
  readonly generation: bigint;
  readonly changes: PolicyChange[];
}

const ATTEMPTS = 10;

async function setPolicy(options: FleetOptions, wanted: Wanted): Promise<Outcome> {
  const { store, map, writer } = options;
  const { policy, expectedGeneration, dryRun, call, signal } = wanted;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
    const registry = writer.registry();
    requireValid(policy, registry);
    const before = readPolicy(options);
    if (expectedGeneration !== undefined && expectedGeneration !== before.generation) {
      const message = `the link policy is at generation ${before.generation}, not ${expectedGeneration}: look at it again`;
      throw refusal("GENERATION_CHANGED", message);
    }
    const parties = partiesOf(registry);
    const changes = [...listPolicyChanges({ policy: before.policy, parties }, { policy, parties })];
    if (dryRun || equals(LinkPolicySchema, policy, before.policy)) return { generation: before.generation, changes };

    const generation = before.generation + 1n;
    const bytes = await seal(options, policy, { incarnation: before.incarnation, generation });
    const expectedRevision = map.revisionOf(LINK_POLICY_KEY);
    const written = await store.map.put(LINK_POLICY_KEY, bytes, { expectedRevision });
    if (written.ok) {
      const [was, is] = [before.policy, policy].map((each) => stateJson(LinkPolicySchema, each));
      call.changed({ action: "links.set", target: LINK_POLICY_KEY, before: was, after: is });
    }
    const entry = written.ok ? written : await store.map.get(LINK_POLICY_KEY);
    if (entry !== undefined) await map.waitFor(entry.revision, signal);
    if (written.ok) return { generation, changes };
  }
  throw refusal("BUSY", "the link policy is being written by others at the same time: try again");
}

function readPolicy({ map }: FleetOptions) {
  const { incarnation, generation } = map.records.get(LINK_POLICY_KEY)?.order ?? { incarnation: 1n, generation: 0n };
  return { policy: map.records.linkPolicy ?? create(LinkPolicySchema), incarnation, generation };
}

function requireValid(policy: LinkPolicy, { mesh, admissions }: Registry): void {
  const problems = validatePolicy(policy, policyMembers(mesh, admissions.values()));
  const errors = problems.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return;
  const violations = errors.map(({ path, message }) => ({
    field: `policy.${path}`,
    description: message,
    rule: "policy",
  }));
  throw new InvalidRequest("SetLinkPolicy", violations);
}

function partiesOf({ admissions }: Registry): ReadonlyMap<string, Party> {
  return new Map([...admissions].map(([id, { labels }]) => [id, { id, labels }]));
}

/** By the root authority: whether a policy widens or narrows is not told apart, so none is left to the online key. */
function seal(
  { meshId, signers, clock }: FleetOptions,
  value: LinkPolicy,
  order: { readonly incarnation: bigint; readonly generation: bigint },
): Promise<Uint8Array> {
  const issuedAt = timestampFromMs(clock.now());
  const payload = { key: LINK_POLICY_KEY, ...order, issuedAt, body: { case: "linkPolicy", value } } as const;
  return sealRecord(meshId, payload, { signer: signers.root, sha256 });
}
