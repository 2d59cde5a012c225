import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { AdmissionSchema, AdmittedGatewaySchema, PayloadSchema } from "@spanwire/proto/record";
import { expect, test } from "vitest";
import { hasUnknownFields } from "./unknown-fields.ts";

const later = [{ no: 900, wireType: 0, data: new Uint8Array([1]) }];
const gateway = create(AdmittedGatewaySchema, { ordinal: 1, identityKey: new Uint8Array(32) });
const admission = create(AdmissionSchema, { clusterId: "eu", labels: { a: "b" }, gateways: [gateway] });

test.each([
  { name: "none", value: admission, want: false },
  { name: "one in the body", value: { ...admission, $unknown: later }, want: true },
  {
    name: "one in a list inside the body",
    value: { ...admission, gateways: [{ ...gateway, $unknown: later }] },
    want: true,
  },
])("$name", ({ value, want }) => {
  const payload = create(PayloadSchema, { key: "cluster.eu", body: { case: "admission", value } });
  expect(hasUnknownFields(fromBinary(PayloadSchema, toBinary(PayloadSchema, payload)))).toBe(want);
});

test("one beside the body", () => {
  const payload = { ...create(PayloadSchema, { key: "cluster.eu" }), $unknown: later };
  expect(hasUnknownFields(fromBinary(PayloadSchema, toBinary(PayloadSchema, payload)))).toBe(true);
});
