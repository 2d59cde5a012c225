/** @module Tables for people: aligned columns, no borders, wide characters and colours not counted. */
import { stripVTControlCharacters } from "node:util";

export interface Column<Row> {
  readonly title: string;
  readonly value: (row: Row) => string;
}

const GAP = "   ";

/** Formats rows under upper-case titles; an empty list says so, because a bare heading looks like a failure. */
export function formatTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { empty }: { empty: string },
): string {
  if (rows.length === 0) return `${empty}\n`;
  const cells = [
    columns.map(({ title }) => title.toUpperCase()),
    ...rows.map((row) => columns.map((c) => c.value(row))),
  ];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => visibleWidth(line[index] ?? ""))));
  return cells.map((line) => `${formatLine(line, widths)}\n`).join("");
}

function formatLine(line: readonly string[], widths: readonly number[]): string {
  return line
    .map((cell, index) => cell + " ".repeat((widths[index] ?? 0) - visibleWidth(cell)))
    .join(GAP)
    .trimEnd();
}

function visibleWidth(text: string): number {
  return [...stripVTControlCharacters(text)].length;
}
