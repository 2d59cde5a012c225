import { type DescField, type DescMessage, getOption, hasOption, ScalarType } from "@bufbuild/protobuf";
import { field as fieldRules } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";
import { FleetService } from "@spanwire/proto/fleet";
import { RegistrationSchema, RegistrationService, RenewalSchema } from "@spanwire/proto/registration";
import { expect, test } from "vitest";

/** What may come from outside over gRPC: every request, and what the bodies of signed ones hold. */
const REQUESTS: readonly DescMessage[] = [
  ...RegistrationService.methods.map(({ input }) => input),
  ...FleetService.methods.map(({ input }) => input),
  RegistrationSchema,
  RenewalSchema,
];

test("every field of every request has a rule, and a limit", () => {
  const fields = REQUESTS.flatMap((request) => walk(request, request.name, []));
  expect(fields.length).toBeGreaterThan(60);
  const gaps = fields.map(({ path, field }) => ({ path, gap: describeGap(field) }));
  expect(gaps.filter(({ gap }) => gap !== undefined)).toEqual([]);
});

test("a field without a rule is found", () => {
  const [info] = walk(RegistrationSchema, "", []).filter(({ path }) => path.endsWith("prefixes"));
  expect(info && hasOption(info.field, fieldRules)).toBe(true);
  const unruled = FleetService.method.getCluster.output.field.cluster.message?.field["id"];
  expect(unruled && describeGap(unruled)).toBe("string without a rule");
});

interface Found {
  readonly path: string;
  readonly field: DescField;
}

function walk(message: DescMessage, path: string, above: readonly DescMessage[]): Found[] {
  if (above.includes(message)) return [];
  return message.fields.flatMap((field) => {
    const found = { path: `${path}.${field.name}`, field };
    const isOurs = field.message?.typeName.startsWith("spanwire.") ?? false;
    return field.message && isOurs ? [found, ...walk(field.message, found.path, [...above, message])] : [found];
  });
}

/** Any boolean is well-formed, and any 64-bit number an order; everything else can be malformed, hostile or too much. */
function describeGap(field: DescField): string | undefined {
  if (field.fieldKind === "message") {
    const needsRule = !field.message.typeName.startsWith("spanwire.");
    return needsRule && !hasOption(field, fieldRules) ? "message without a rule" : undefined;
  }
  if (field.fieldKind === "scalar" && [ScalarType.BOOL, ScalarType.UINT64].includes(field.scalar)) return undefined;
  const name = field.fieldKind === "scalar" ? ScalarType[field.scalar].toLowerCase() : field.fieldKind;
  if (!hasOption(field, fieldRules)) return `${name} without a rule`;
  const { type } = getOption(field, fieldRules);
  if (field.fieldKind === "list" && !(type.case === "repeated" && type.value.maxItems > 0n))
    return "list without a limit";
  if (field.fieldKind === "map" && !(type.case === "map" && type.value.maxPairs > 0n)) return "map without a limit";
  if (type.case === "string" && !type.value.pattern && type.value.maxLen === 0n) return "string without a limit";
  return undefined;
}
