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
  return renderValue(format, () => toJson(schema, message), table);
}

/** The same for what is no message. */
export function renderValue(format: OutputFormat, value: () => unknown, table: () => string): string {
  switch (format) {
    case "table":
      return table();
    case "json":
      return `${JSON.stringify(value(), undefined, 2)}\n`;
    case "yaml":
      return stringify(value());
    default:
      return format satisfies never;
  }
}

/** One of many that follow each other: a screen that is drawn anew, a line of JSON, a document of YAML. */
export function renderNext<Desc extends DescMessage>(
  format: OutputFormat,
  schema: Desc,
  message: MessageShape<Desc>,
  table: () => string,
): string {
  switch (format) {
    case "table":
      return `${CLEAR_SCREEN}${table()}`;
    case "json":
      return `${JSON.stringify(toJson(schema, message))}\n`;
    case "yaml":
      return `---\n${stringify(toJson(schema, message))}`;
    default:
      return format satisfies never;
  }
}

const CLEAR_SCREEN = "\u001b[2J\u001b[H";
