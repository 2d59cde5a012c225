import { styleText } from "node:util";
import { expect, test } from "vitest";
import { formatTable } from "./table.ts";

const columns = [
  { title: "id", value: (row: { id: string; prefixes: string }) => row.id },
  { title: "prefixes", value: (row: { id: string; prefixes: string }) => row.prefixes },
];

test("aligns columns under their titles and leaves no trailing blanks", () => {
  const rows = [
    { id: "eu", prefixes: "10.1.0.0/16" },
    { id: "plant-12", prefixes: "" },
  ];
  expect(formatTable(rows, columns, { empty: "no clusters" })).toBe(
    "ID         PREFIXES\neu         10.1.0.0/16\nplant-12\n",
  );
});

test("does not count colours", () => {
  const rows = [{ id: styleText("red", "eu", { validateStream: false }), prefixes: "x" }];
  expect(formatTable(rows, columns, { empty: "" }).split("\n")[1]).toMatch(/eu.*\s{3}x$/);
});

test("says that there is nothing", () => {
  expect(formatTable([], columns, { empty: "no clusters have joined" })).toBe("no clusters have joined\n");
});
