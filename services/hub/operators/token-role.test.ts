import { expect, test } from "vitest";
import { type RoleRule, roleOfClaims } from "./token-role.ts";

const RULES: readonly RoleRule[] = [
  { claim: "/groups", value: "net-admins", role: "admin" },
  { claim: "/groups", value: "net", role: "operator" },
  { claim: "/realm_access/roles", value: "look", role: "viewer" },
];

test.each([
  { claims: { groups: ["staff", "net"] }, want: "operator" },
  { claims: { groups: ["net", "net-admins"] }, want: "admin" },
  { claims: { groups: "net" }, want: "operator" },
  { claims: { realm_access: { roles: ["look"] } }, want: "viewer" },
  { claims: { groups: "net-admins, net" }, want: undefined },
  { claims: { groups: [["net"]] }, want: undefined },
  { claims: { groups: { net: true } }, want: undefined },
  { claims: { role: "admin" }, want: undefined },
  { claims: {}, want: undefined },
  { claims: null, want: undefined },
])("$claims gives $want", ({ claims, want }) => {
  expect(roleOfClaims(claims, RULES)).toBe(want);
});
