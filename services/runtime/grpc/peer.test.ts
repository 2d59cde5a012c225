import { expect, test } from "vitest";
import { spiffeIdOf } from "./peer.ts";

test.each([
  { name: "only name", text: "URI:spiffe://mesh/cluster/eu/gateway/0", want: "spiffe://mesh/cluster/eu/gateway/0" },
  { name: "beside DNS", text: "DNS:hub, URI:spiffe://mesh/hub, IP Address:10.0.0.1", want: "spiffe://mesh/hub" },
  { name: "none", text: "DNS:hub", want: undefined },
  { name: "two", text: "URI:spiffe://mesh/a, URI:spiffe://mesh/b", want: undefined },
  { name: "another scheme", text: "URI:https://mesh/a", want: undefined },
  { name: "a DNS name that looks like a list", text: 'DNS:"x, URI:spiffe://mesh/hub"', want: undefined },
  { name: "nothing", text: "", want: undefined },
])("$name", ({ text, want }) => {
  expect(spiffeIdOf(text)).toBe(want);
});
