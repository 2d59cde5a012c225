import { FleetService } from "@spanwire/proto/fleet";
import { RegistrationService } from "@spanwire/proto/registration";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import type { CallContext } from "@spanwire/runtime/grpc/context";
import { beforeAll, expect, test } from "vitest";
import { NO_AUDIT } from "../audit/testing.ts";
import { openCertificateAuthority } from "../authority/ca.ts";
import { createKeyRing } from "../oidc/issuer-keys.ts";
import { AUDIENCE, createTestIssuer, podClaims, type TestIssuer } from "../oidc/testing.ts";
import { byBearer, byCertificate } from "../operators/find-operator.ts";
import { refusal } from "../refusal.ts";
import { createFakeSecretStore } from "../secrets/fake-secret-store.ts";
import { ACCESS, authorize, methodName } from "./authorize.ts";

const METHODS = [...RegistrationService.methods, ...FleetService.methods];
type Method = (typeof METHODS)[number];

test("every method has an entry, and every entry a method", () => {
  expect([...ACCESS.keys()].sort()).toEqual(METHODS.map(methodName).sort());
});

test("nobody can end or restart the hub by the API", () => {
  expect(METHODS.filter(({ name }) => /Shutdown|Stop|Restart|Exit|Kill|Reload|Terminate|Quit/.test(name))).toEqual([]);
});

const NOW_S = Math.floor(Date.now() / 1_000);
const ISSUER = "https://sign-in.example";
const person = (groups: unknown) => ({ iss: ISSUER, aud: "mesh", sub: "alice", iat: NOW_S, exp: NOW_S + 600, groups });

let issuer: TestIssuer;
let tokens: Readonly<Record<string, string>>;
let der: Uint8Array;
beforeAll(async () => {
  issuer = await createTestIssuer();
  const stranger = await createTestIssuer();
  tokens = {
    "viewer's token": await issuer.sign(person(["mesh-viewers"])),
    "operator's token": await issuer.sign(person(["mesh-viewers", "mesh-operators"])),
    "admin's token": await issuer.sign(person("mesh-admins")),
    "a token that gives no role": await issuer.sign(person(["mesh"])),
    "a token with the name of a role": await issuer.sign(person(["admin"])),
    "a token that somebody else signed": await stranger.sign(person(["mesh-admins"])),
    "a token of another issuer": await issuer.sign({
      ...person(["mesh-admins"]),
      iss: "https://sign-in.example/other",
    }),
    "an expired token": await issuer.sign({ ...person(["mesh-admins"]), iat: NOW_S - 700, exp: NOW_S - 100 }),
    "a token for another service": await issuer.sign({ ...person(["mesh-admins"]), aud: "mail" }),
    "a gateway's token": await issuer.sign({
      ...podClaims({ name: "g-0", uid: "u" }, Date.now()),
      iss: ISSUER,
      aud: AUDIENCE,
    }),
    "not a token": "mesh-admins",
  };
  const ca = await openCertificateAuthority(createFakeSecretStore(), { meshId: "m", nowMs: Date.now() });
  der = new Uint8Array(Buffer.from(ca.certificatePem.replace(/-----.*-----|\n/g, ""), "base64"));
});

const CERTIFICATES = {
  nobody: undefined,
  "a certificate without a name": { spiffeId: undefined },
  agent: { spiffeId: "spiffe://m/cluster/eu/gateway/0" },
  "a cluster named operator": { spiffeId: "spiffe://m/cluster/operator/gateway/0" },
  "an admin of another mesh": { spiffeId: "spiffe://other/operator/admin/a" },
  "a role that is none": { spiffeId: "spiffe://m/operator/root/a" },
  "a name that is almost one": { spiffeId: "spiffe://m/operator/admin/a/b" },
  "a revoked admin": { spiffeId: "spiffe://m/operator/admin/revoked" },
  viewer: { spiffeId: "spiffe://m/operator/viewer/a" },
  operator: { spiffeId: "spiffe://m/operator/operator/a" },
  admin: { spiffeId: "spiffe://m/operator/admin/a" },
} as const;
type Certified = keyof typeof CERTIFICATES;

/** As the port for certificates and the port for tokens call it. */
function contextOf(caller: string): CallContext {
  const named = CERTIFICATES[caller as Certified];
  const token = tokens[caller];
  const metadata = new Map(token === undefined ? [] : [["authorization", `Bearer ${token}`]]);
  return { peer: { address: "", certificate: named && { ...named, der } }, metadata } as unknown as CallContext;
}

/** "yes", or the reason of the refusal. */
async function tryAs(caller: string, method: Method): Promise<string> {
  const context = contextOf(caller);
  const view = {
    check: async () => {
      if (caller === "a revoked admin") throw refusal("OPERATOR_REVOKED", "revoked");
    },
    onRevoked: () => () => {},
  };
  const rule = (group: string, role: "viewer" | "operator" | "admin") => ({ claim: "/groups", value: group, role });
  const bearers = byBearer({
    keyRing: createKeyRing({ clock: systemClock, onFailure: () => {} }),
    source: { kind: "given", jwks: issuer.jwks },
    issuer: ISSUER,
    audience: "mesh",
    nameClaim: "/sub",
    roles: [rule("mesh-admins", "admin"), rule("mesh-viewers", "viewer"), rule("mesh-operators", "operator")],
    clock: systemClock,
  });
  const findOperator = caller in CERTIFICATES ? byCertificate("m", view) : bearers;
  const calls = { of: () => NO_AUDIT };
  const call = { method, context, end: () => {} };
  return authorize({ meshId: "m", findOperator, calls })(call, async () => {}).then(
    () => "yes",
    (error: { reason: string }) => error.reason,
  );
}

test("who may call what, by certificate and by token", async () => {
  const callers = ["nobody", "agent", "viewer", "operator", "admin"];
  const rows = await Promise.all(
    METHODS.map(async (method) => {
      const answers = await Promise.all(callers.map((caller) => tryAs(caller, method)));
      const byToken = await Promise.all(callers.slice(2).map((caller) => tryAs(`${caller}'s token`, method)));
      expect(byToken, method.name).toEqual(answers.slice(2));
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
    SetDraining: operator, admin
    DeleteCluster: operator, admin
    InviteCluster: operator, admin
    WithdrawInvite: operator, admin
    ListInvites: viewer, operator, admin
    WatchAcknowledgements: viewer, operator, admin
    GetLinkPolicy: viewer, operator, admin
    SetLinkPolicy: operator, admin
    Rotate: operator, admin
    AbortRotation: operator, admin
    GetRotation: viewer, operator, admin
    GetStatus: viewer, operator, admin
    WatchStatus: viewer, operator, admin
    CreateOperator: admin
    ListOperators: viewer, operator, admin
    RevokeOperator: admin
    ReadAudit: viewer, operator, admin
    GetMap: viewer, operator, admin
    ExportState: admin"
  `);
});

const CLOSED = METHODS.filter((method) => ACCESS.get(methodName(method)) !== "anybody");
const STRANGERS = [
  ...["nobody", "a certificate without a name", "agent", "a cluster named operator", "an admin of another mesh"],
  ...["a role that is none", "a name that is almost one", "a token that gives no role"],
  "a token with the name of a role",
];
/** Whose claim to be somebody is judged before. */
const REFUSED = [
  { caller: "a revoked admin", want: "OPERATOR_REVOKED" },
  { caller: "not a token", want: "JWT_INVALID" },
  { caller: "a token that somebody else signed", want: "JWT_INVALID" },
  { caller: "a token of another issuer", want: "JWT_WRONG_ISSUER" },
  { caller: "an expired token", want: "JWT_EXPIRED" },
  { caller: "a token for another service", want: "JWT_WRONG_AUDIENCE" },
  { caller: "a gateway's token", want: "JWT_WRONG_AUDIENCE" },
];

test.each(
  CLOSED.map((method) => ({ name: methodName(method), method })),
)("$name is for operators of this mesh only", async ({ method }) => {
  for (const caller of STRANGERS) expect(await tryAs(caller, method), caller).toBe("OPERATOR_REQUIRED");
  for (const { caller, want } of REFUSED) expect(await tryAs(caller, method), caller).toBe(want);
});

test("a role that is too small is told which one it takes", async () => {
  const findOperator = async () => ({ name: "a", role: "viewer", onRevoked: () => () => {} }) as const;
  const call = { method: FleetService.method.setLinkPolicy, context: contextOf("viewer"), end: () => {} };
  await expect(
    authorize({ meshId: "m", findOperator, calls: { of: () => NO_AUDIT } })(call, async () => {}),
  ).rejects.toThrow(
    'SetLinkPolicy: needs the role operator, "a" is viewer; an admin can give it with: spanwire operator create',
  );
});
