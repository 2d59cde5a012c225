/** @module One value, three forms: a table for people, JSON and YAML for programs. */
import { type DescMessage, type MessageShape, toJson } from "@bufbuild/protobuf";
import { stringify } from "yaml";

export const OUTPUT_FORMATS = ["table", "json", "yaml"] as const;
export type OutputFormat = (typeof OUTPUT_FORMATS)[number];

/** Renders a message of the contract; `table` is asked only for people, so that programs see every field. */
export function render<Desc extends DescMessage>(
  format: OutputFormat,
  schema: Desc,
  message: MessageShape<Desc>,
  table: () => string,
): string {
  switch (format) {
    case "table":
      return table();
    case "json":
      return `${JSON.stringify(toJson(schema, message), undefined, 2)}\n`;
    case "yaml":
      return stringify(toJson(schema, message));
    default:
      return format satisfies never;
  }
}
