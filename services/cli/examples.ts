/** The end of a command's help: command lines to copy, "spanwire " left out. A unit test parses each. */
export function examples(...lines: readonly string[]): string {
  return `\nExamples:\n${lines.map((line) => `  spanwire ${line}\n`).join("")}`;
}
