import { AuditActorKind, type AuditEntry } from "@spanwire/proto/audit";
import { expect, test } from "vitest";
import { toEcs } from "./ecs.ts";
import { type AuditFacts, decodeEntry, encodeEntry } from "./entry.ts";
import { toOcsf } from "./ocsf.ts";
import { NOW_MS, testChange } from "./testing.ts";

function entryOf(facts: AuditFacts): AuditEntry {
  const entry = decodeEntry(encodeEntry(facts, { sequence: 7n, hub: "hub/1" }));
  if (entry === undefined) throw new Error("not an entry");
  return entry;
}

const nobody = { kind: "nobody" } as const;
const gateway = { kind: "gateway", name: "eu/0", identityKey: new Uint8Array(32).fill(1) } as const;
const CASES: readonly { name: string; facts: AuditFacts; ocsf: string; ecs: string }[] = [
  {
    name: "a change by an operator",
    facts: testChange(1),
    ocsf: "Entity Management 300403 Success by alice from 192.0.2.1",
    ecs: "configuration change success by alice from 192.0.2.1",
  },
  {
    name: "a registration",
    facts: testChange(1, { action: "gateway.register", actor: gateway, tokenId: "k7pd2qvx3mzn5rty" }),
    ocsf: "Authentication 300201 Success by eu/0 from 192.0.2.1",
    ecs: "authentication start success by eu/0 from 192.0.2.1",
  },
  {
    name: "a refused registration",
    facts: testChange(1, { action: "Register", actor: nobody, refusal: "TOKEN_EXPIRED", address: "2001:db8::1:5000" }),
    ocsf: "Authentication 300201 Failure by unknown from 2001:db8::1",
    ecs: "authentication start failure by - from 2001:db8::1",
  },
  {
    name: "a caller without the certificate of an operator",
    facts: testChange(1, { action: "GetStatus", actor: nobody, refusal: "OPERATOR_REQUIRED" }),
    ocsf: "Authentication 300201 Failure by unknown from 192.0.2.1",
    ecs: "authentication start failure by - from 192.0.2.1",
  },
  {
    name: "a caller with a token of another issuer that is not good",
    facts: testChange(1, { action: "GetStatus", actor: nobody, refusal: "JWT_EXPIRED" }),
    ocsf: "Authentication 300201 Failure by unknown from 192.0.2.1",
    ecs: "authentication start failure by - from 192.0.2.1",
  },
  {
    name: "an operator's end",
    facts: testChange(1, { action: "operator.revoke" }),
    ocsf: "Entity Management 300403 Success by alice from 192.0.2.1",
    ecs: "configuration change success by alice from 192.0.2.1",
  },
  {
    name: "an operator whose role is too small",
    facts: testChange(1, { action: "SetLinkPolicy", refusal: "ROLE_REQUIRED" }),
    ocsf: "API Activity 600303 Failure by alice from 192.0.2.1",
    ecs: "api change,denied failure by alice from 192.0.2.1",
  },
  {
    name: "the hub's state taken away",
    facts: testChange(1, { action: "state.export" }),
    ocsf: "API Activity 600302 Success by alice from 192.0.2.1",
    ecs: "api access success by alice from 192.0.2.1",
  },
  {
    name: "the first statement of a gateway",
    facts: testChange(1, { action: "statement.store", actor: gateway, address: "", before: "" }),
    ocsf: "Tunnel Activity 401401 Success by eu/0 from eu/0",
    ecs: "network start success by eu/0 from -",
  },
  {
    name: "its next one",
    facts: testChange(1, { action: "statement.store", actor: gateway, address: "" }),
    ocsf: "Tunnel Activity 401403 Success by eu/0 from eu/0",
    ecs: "network change success by eu/0 from -",
  },
  {
    name: "its end",
    facts: testChange(1, { action: "gateway.revoke" }),
    ocsf: "Tunnel Activity 401402 Success by alice from 192.0.2.1",
    ecs: "network end success by alice from 192.0.2.1",
  },
  {
    name: "what the hub does on its own",
    facts: testChange(1, { action: "audit.trim", actor: { kind: "hub" }, address: "" }),
    ocsf: "API Activity 600399 Success by hub from spanwire-hub hub/1",
    ecs: "api info success by hub from -",
  },
];

test.each(CASES)("$name: $ocsf", ({ facts, ocsf, ecs }) => {
  const entry = entryOf(facts);
  const event = asRead<OcsfEvent>(toOcsf(entry, "m", {}));
  const user = event.user ?? event.actor?.user;
  const from = event.src_endpoint.ip ?? event.src_endpoint.name;
  expect(`${event.class_name} ${event.type_uid} ${event.status} by ${user?.name} from ${from}`).toBe(ocsf);
  expect(event.type_uid).toBe(event.class_uid * 100 + event.activity_id);
  expect(Math.floor(event.class_uid / 1_000)).toBe(event.category_uid);
  for (const name of REQUIRED[event.class_name] ?? []) expect(event[name], name).toBeDefined();
  const document = asRead<EcsDocument>(toEcs(entry, "m", {}));
  const { category, type, outcome } = document.event;
  expect(`${category} ${type} ${outcome} by ${document.user?.name ?? "-"} from ${document.source?.ip ?? "-"}`).toBe(
    ecs,
  );
});

/** Attributes with "requirement": "required", and one of each "at_least_one", in the schema's files of 1.2.0. */
const BASE = ["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"];
const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  "API Activity": [...BASE, "actor", "api", "src_endpoint"],
  Authentication: [...BASE, "user", "service"],
  "Entity Management": [...BASE, "entity"],
  "Tunnel Activity": [...BASE, "tunnel_interface"],
};

test("an OCSF event whole", () => {
  const facts = testChange(1, {
    refusal: "TOKEN_EXPIRED",
    message: "it expired",
    tokenId: "t",
    count: 3,
    firstTimeMs: 0,
  });
  expect(JSON.stringify(toOcsf(entryOf(facts), "m", { entry: "x" }), undefined, 1)).toMatchInlineSnapshot(`
    "{
     "activity_id": 3,
     "activity_name": "cluster.update",
     "category_uid": 3,
     "class_uid": 3004,
     "class_name": "Entity Management",
     "type_uid": 300403,
     "time": 1795262401000,
     "count": 3,
     "start_time": 0,
     "severity_id": 2,
     "status_id": 2,
     "status": "Failure",
     "status_code": "TOKEN_EXPIRED",
     "status_detail": "it expired",
     "message": "it expired",
     "metadata": {
      "version": "1.2.0",
      "product": {
       "name": "Spanwire",
       "vendor_name": "Spanwire"
      },
      "log_name": "sw-audit",
      "log_provider": "hub/1",
      "uid": "m/7",
      "sequence": 7
     },
     "src_endpoint": {
      "ip": "192.0.2.1",
      "port": 5000
     },
     "actor": {
      "user": {
       "name": "alice",
       "uid": "operator/alice",
       "type_id": 1,
       "groups": [
        {
         "name": "operator"
        }
       ]
      }
     },
     "entity": {
      "uid": "cluster.c1",
      "name": "cluster.c1",
      "type": "cluster",
      "data": "{\\"a\\":1}"
     },
     "entity_result": {
      "uid": "cluster.c1",
      "name": "cluster.c1",
      "type": "cluster",
      "data": "{\\"a\\":2}"
     },
     "comment": "it expired",
     "unmapped": {
      "mesh_id": "m",
      "token_id": "t",
      "before": "{\\"a\\":1}",
      "after": "{\\"a\\":2}",
      "proof": {
       "entry": "x"
      }
     }
    }"
  `);
});

test("an ECS document whole", () => {
  expect(
    JSON.stringify(toEcs(entryOf(testChange(1, { tokenId: "t" })), "m", { entry: "x" }), undefined, 1),
  ).toMatchInlineSnapshot(`
    "{
     "@timestamp": "2026-11-21T12:00:01.000Z",
     "ecs": {
      "version": "8.17.0"
     },
     "message": "cluster.update cluster.c1",
     "event": {
      "kind": "event",
      "category": [
       "configuration"
      ],
      "type": [
       "change"
      ],
      "action": "cluster.update",
      "outcome": "success",
      "id": "m/7",
      "sequence": 7,
      "dataset": "spanwire.audit",
      "provider": "spanwire-hub"
     },
     "service": {
      "type": "spanwire",
      "name": "spanwire-hub",
      "node": {
       "name": "hub/1"
      }
     },
     "source": {
      "ip": "192.0.2.1",
      "address": "192.0.2.1",
      "port": 5000
     },
     "user": {
      "name": "alice",
      "roles": [
       "operator"
      ]
     },
     "spanwire": {
      "mesh": "m",
      "target": "cluster.c1",
      "token_id": "t",
      "before": "{\\"a\\":1}",
      "after": "{\\"a\\":2}",
      "proof": {
       "entry": "x"
      }
     }
    }"
  `);
});

test("an entry shows who and when, and neither moves a cursor nor grows without bound", () => {
  const wild = { message: "a\u001b[2J\nb\u202e\ud800", before: "x".repeat(100_000) };
  const entry = entryOf(testChange(0, { ...wild, actor: gateway }));
  expect(entry).toMatchObject({
    message: "a\ufffd[2J\ufffdb\ufffd\ufffd",
    actor: { kind: AuditActorKind.GATEWAY, name: "eu/0" },
  });
  expect(entry.time).toMatchObject({ seconds: BigInt(NOW_MS / 1_000) });
  expect(entry.before).toMatch(/^x{4096}… \(cut, 100000 characters\)$/);
});

interface OcsfEvent {
  readonly [name: string]: unknown;
  readonly class_name: string;
  readonly category_uid: number;
  readonly class_uid: number;
  readonly activity_id: number;
  readonly type_uid: number;
  readonly status: string;
  readonly user?: { readonly name: string };
  readonly actor?: { readonly user: { readonly name: string } };
  readonly src_endpoint: { readonly ip?: string; readonly name?: string };
}

interface EcsDocument {
  readonly event: { readonly category: string; readonly type: string; readonly outcome: string };
  readonly user?: { readonly name: string };
  readonly source?: { readonly ip: string };
}

/** As another program reads it: what JSON does not carry is gone. */
function asRead<T>(value: object): T {
  return JSON.parse(JSON.stringify(value));
}
