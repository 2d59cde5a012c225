/**
 * @module Writes `.include/buf/validate/validate.proto`, which no npm package carries, from the descriptor inside
 * `@bufbuild/protovalidate`. buf needs the text to resolve the import; the predefined CEL expressions of the original
 * are not printed, because the runtime takes them from the package's own descriptor.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { DescEnum, DescExtension, DescField, DescMessage, DescOneof } from "@bufbuild/protobuf";
import { FieldDescriptorProto_Label, FieldDescriptorProto_Type } from "@bufbuild/protobuf/wkt";
import { file_buf_validate_validate as validate } from "@bufbuild/protovalidate/gen/buf/validate/validate_pb.js";

const PROTO_DIR = import.meta.dirname;

/** Prints the file and returns the folder it is in, an include root. */
export function writeInclude(): string {
  const root = join(PROTO_DIR, ".include");
  mkdirSync(join(root, "buf/validate"), { recursive: true });
  writeFileSync(join(root, "buf/validate/validate.proto"), printValidate());
  return root;
}

function printValidate(): string {
  const extensions = validate.extensions.map(
    (extension) => `extend ${extension.extendee.typeName} {\n${indent([printField(extension)])}\n}`,
  );
  return [
    'syntax = "proto2";',
    "package buf.validate;",
    ...validate.proto.dependency.map((path) => `import "${path}";`),
    ...extensions,
    ...validate.enums.map(printEnum),
    ...validate.messages.map(printMessage),
    "",
  ].join("\n");
}

function printMessage(message: DescMessage): string {
  const lines = [
    ...message.nestedEnums.map(printEnum),
    ...message.nestedMessages.map(printMessage),
    ...message.members.map((member) => (member.kind === "oneof" ? printOneof(member) : printField(member))),
    ...message.proto.extensionRange.map((range) => `extensions ${range.start} to ${printEnd(range.end)};`),
  ];
  return `message ${message.name} {\n${indent(lines)}\n}`;
}

function printOneof(oneof: DescOneof): string {
  return `oneof ${oneof.name} {\n${indent(oneof.fields.map((field) => printField(field, { inOneof: true })))}\n}`;
}

function printField(field: DescField | DescExtension, { inOneof = false } = {}): string {
  const { proto } = field;
  const label = inOneof ? "" : `${FieldDescriptorProto_Label[proto.label]?.toLowerCase()} `;
  return `${label}${typeName(field)} ${proto.name} = ${proto.number};`;
}

function typeName({ proto }: DescField | DescExtension): string {
  return proto.typeName === "" ? (FieldDescriptorProto_Type[proto.type]?.toLowerCase() ?? "") : proto.typeName;
}

function printEnum(item: DescEnum): string {
  return `enum ${item.name} {\n${indent(item.values.map((value) => `${value.name} = ${value.number};`))}\n}`;
}

/** Ranges end exclusively; the largest field number is written `max`. */
function printEnd(end: number): string {
  return end > 0x1fff_ffff ? "max" : String(end - 1);
}

function indent(lines: readonly string[]): string {
  return lines.map((line) => line.replace(/^/gm, "  ")).join("\n");
}
