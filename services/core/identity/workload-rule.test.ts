import fc from "fast-check";
import { expect, test } from "vitest";
import { findClaim, judgeWorkload, kubernetesRule, type WorkloadRule } from "./workload-rule.ts";

const RULE = kubernetesRule("spanwire", "gateway");
const sub = "system:serviceaccount:spanwire:gateway";
const pod = (name: unknown, uid: unknown = "u-1") => ({
  sub,
  "kubernetes.io": { namespace: "spanwire", pod: { name, uid } },
});

const VM: WorkloadRule = {
  subject: "1234",
  claims: { "/google/compute_engine/project_id": "mesh" },
  ordinal: { fixed: 2 },
  instancePointer: "/google/compute_engine/instance_id",
};
const vm = (project_id: string) => ({ sub: "1234", google: { compute_engine: { project_id, instance_id: "i-7" } } });

test.each([
  { name: "a pod of a StatefulSet", rule: RULE, payload: pod("vpn-gateway-0"), want: { ordinal: 0, instance: "u-1" } },
  { name: "a pod of a canary", rule: RULE, payload: pod("vpn-gateway-canary-12"), want: { ordinal: 12 } },
  { name: "a VM of a cloud", rule: VM, payload: vm("mesh"), want: { ordinal: 2, instance: "i-7" } },
])("$name is a gateway", ({ rule, payload, want }) => {
  expect(judgeWorkload(rule, payload)).toMatchObject({ ok: true, ...want });
});

test.each([
  { name: "another ServiceAccount", payload: { ...pod("g-0"), sub: `${sub}2` }, want: "WORKLOAD_WRONG_SUBJECT" },
  { name: "no subject", payload: { ...pod("g-0"), sub: undefined }, want: "WORKLOAD_WRONG_SUBJECT" },
  { name: "several subjects", payload: { ...pod("g-0"), sub: [sub] }, want: "WORKLOAD_WRONG_SUBJECT" },
  {
    name: "a token of no pod",
    payload: { sub, "kubernetes.io": { namespace: "spanwire" } },
    want: "WORKLOAD_CLAIM_MISSING",
  },
  { name: "no Kubernetes claims", payload: { sub }, want: "WORKLOAD_CLAIM_MISSING" },
  { name: "a pod without a uid", payload: pod("g-0", null), want: "WORKLOAD_CLAIM_MISSING" },
  { name: "a uid that is no text", payload: pod("g-0", { toString: "u" }), want: "WORKLOAD_CLAIM_MISSING" },
  { name: "a pod without a name", payload: pod(undefined), want: "WORKLOAD_CLAIM_MISSING" },
  { name: "a pod of a Deployment", payload: pod("gateway-5d4f8-x7k2p"), want: "WORKLOAD_WRONG_CLAIM" },
  { name: "an ordinal with a leading zero", payload: pod("gateway-00"), want: "WORKLOAD_WRONG_CLAIM" },
  { name: "a name with a line end after the ordinal", payload: pod("gateway-0\n"), want: "WORKLOAD_WRONG_CLAIM" },
])("$name is refused", ({ payload, want }) => {
  expect(judgeWorkload(RULE, payload)).toMatchObject({ ok: false, reason: want });
});

test("a claim that is not as the rule says is refused", () => {
  expect(judgeWorkload(VM, vm("other"))).toMatchObject({ ok: false, reason: "WORKLOAD_WRONG_CLAIM" });
});

test("a pointer finds what is there, and nothing that every object has", () => {
  expect(findClaim({ "a/b": { "~": 1 } }, "/a~1b/~0")).toBe(1);
  for (const pointer of ["/__proto__", "/constructor/name", "/toString", "/a/length"]) {
    expect(findClaim({ a: [] }, pointer.replace("length", "map")), pointer).toBeUndefined();
  }
});

test("whatever a token claims, the answer is one of the known ones", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (payload) => {
      expect(judgeWorkload(RULE, payload)).toMatchObject({ ok: false });
    }),
  );
});
