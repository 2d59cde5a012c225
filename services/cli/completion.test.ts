import { Command } from "commander";
import { expect, test } from "vitest";
import { COMPLETE_COMMAND, completeWords } from "./completion.ts";
import { addGlobalOptions } from "./global-options.ts";

const show = new Command("show").argument("<cluster>").option("--since <time>");
const shell = new Command("completion").argument("<shell>");
shell.registeredArguments[0]?.choices(["bash", "zsh"]);
const program = addGlobalOptions(new Command("spanwire"))
  .addCommand(new Command("cluster").addCommand(show).addCommand(new Command("list")))
  .addCommand(shell)
  .addCommand(new Command(COMPLETE_COMMAND), { hidden: true });

test.each([
  { words: [""], want: ["cluster", "completion"] },
  { words: ["cl"], want: ["cluster"] },
  { words: ["cluster", ""], want: ["list", "show"] },
  { words: ["-o", "json", "cluster", "s"], want: ["show"] },
  { words: ["cluster", "show", "-"], want: ["--context", "--help", "--output", "--since", "--traces-endpoint"] },
  { words: ["cluster", "show", "--since", ""], want: [] },
  { words: ["cluster", "list", "-o", ""], want: ["json", "table", "yaml"] },
  { words: ["cluster", "list", "--output", "y"], want: ["yaml"] },
  { words: ["completion", ""], want: ["bash", "zsh"] },
  { words: ["cluster", "show", "eu", ""], want: [] },
])("after $words may stand $want", ({ words, want }) => {
  expect(completeWords(program, words)).toEqual(want);
});
