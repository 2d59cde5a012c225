import { FleetService } from "@spanwire/proto/fleet";
import { RegistrationService } from "@spanwire/proto/registration";
import type { CallContext } from "@spanwire/runtime/grpc/context";
import { expect, test } from "vitest";
import { ACCESS, authorize, methodName, operatorOf } from "./authorize.ts";

const METHODS = [...RegistrationService.methods, ...FleetService.methods];

test("every method has an entry, and every entry a method", () => {
  expect([...ACCESS.keys()].sort()).toEqual(METHODS.map(methodName).sort());
});

test("nobody can end or restart the hub by the API", () => {
  expect(METHODS.filter(({ name }) => /shutdown|stop|restart|exit|kill|reload|terminate|quit/i.test(name))).toEqual([]);
});

const CALLERS = {
  nobody: undefined,
  "a certificate without a name": { spiffeId: undefined },
  agent: { spiffeId: "spiffe://m/cluster/eu/gateway/0" },
  "a cluster named operator": { spiffeId: "spiffe://m/cluster/operator/gateway/0" },
  "an admin of another mesh": { spiffeId: "spiffe://other/operator/admin/a" },
  "a role that is none": { spiffeId: "spiffe://m/operator/root/a" },
  "a name that is almost one": { spiffeId: "spiffe://m/operator/admin/a/b" },
  viewer: { spiffeId: "spiffe://m/operator/viewer/a" },
  operator: { spiffeId: "spiffe://m/operator/operator/a" },
  admin: { spiffeId: "spiffe://m/operator/admin/a" },
} as const;
type Caller = keyof typeof CALLERS;

function certificateOf(caller: Caller) {
  const named = CALLERS[caller];
  return named && { ...named, der: new Uint8Array() };
}

/** "yes", or the reason of the refusal. */
async function tryAs(caller: Caller, method: (typeof METHODS)[number]): Promise<string> {
  const context = { peer: { address: "", certificate: certificateOf(caller) } } as CallContext;
  return authorize("m")({ method, context }, async () => {}).then(
    () => "yes",
    (error: { reason: string }) => error.reason,
  );
}

test("who may call what", async () => {
  const rows = await Promise.all(
    METHODS.map(async (method) => {
      const callers = ["nobody", "agent", "viewer", "operator", "admin"] as const;
      const answers = await Promise.all(callers.map((caller) => tryAs(caller, method)));
      return `${method.name}: ${callers.filter((_, at) => answers[at] === "yes").join(", ")}`;
    }),
  );
  expect(rows.join("\n")).toMatchInlineSnapshot(`
    "Challenge: nobody, agent, viewer, operator, admin
    Register: nobody, agent, viewer, operator, admin
    Renew: nobody, agent, viewer, operator, admin
    Leave: nobody, agent, viewer, operator, admin
    GetVersion: viewer, operator, admin
    CreateToken: operator, admin
    ListTokens: viewer, operator, admin
    RevokeToken: operator, admin
    ListClusters: viewer, operator, admin
    GetCluster: viewer, operator, admin
    UpdateCluster: operator, admin
    RevokeCluster: operator, admin
    RevokeGateway: operator, admin
    DeleteCluster: operator, admin
    WatchAcknowledgements: viewer, operator, admin
    GetLinkPolicy: viewer, operator, admin
    SetLinkPolicy: operator, admin
    Rotate: operator, admin
    AbortRotation: operator, admin
    GetRotation: viewer, operator, admin
    GetStatus: viewer, operator, admin
    WatchStatus: viewer, operator, admin
    CreateOperator: admin
    ReadAudit: viewer, operator, admin
    GetMap: viewer, operator, admin
    ExportState: admin"
  `);
});

const CLOSED = METHODS.filter((method) => ACCESS.get(methodName(method)) !== "anybody");
const STRANGERS = (Object.keys(CALLERS) as Caller[]).filter(
  (caller) => operatorOf(certificateOf(caller), "m") === undefined,
);

test.each(
  CLOSED.map((method) => ({ name: methodName(method), method })),
)("$name is for operators of this mesh only", async ({ method }) => {
  expect(STRANGERS).toHaveLength(7);
  for (const caller of STRANGERS) expect(await tryAs(caller, method), caller).toBe("OPERATOR_REQUIRED");
});

test("a role that is too small is told which one it takes", async () => {
  const context = { peer: { address: "", certificate: certificateOf("viewer") } } as CallContext;
  const refused = authorize("m")({ method: FleetService.method.setLinkPolicy, context }, async () => {});
  await expect(refused).rejects.toThrow(
    'SetLinkPolicy: needs the role operator, "a" is viewer; an admin can give it with: spanwire operator create',
  );
});
