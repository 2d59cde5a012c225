/** @module Shell completion: the scripts ask the program itself, so that they never fall behind it. */
import type { Command, Option } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** The hidden command that the scripts call with the words typed so far. */
export const COMPLETE_COMMAND = "__complete";

/** Lists what may stand in place of the last word, which may be empty; nothing where a file or a name is asked for. */
export function completeWords(program: Command, words: readonly string[]): string[] {
  const typed = words.at(-1) ?? "";
  const before = words.slice(0, -1);
  const path = [program];
  for (const word of before) {
    const next = path.at(-1)?.commands.find((each) => each.name() === word);
    if (next !== undefined) path.push(next);
  }
  const options = path.flatMap((command) => command.options).filter(({ hidden }) => !hidden);
  const asking = options.find((option) => isNamed(option, before.at(-1)) && (option.required || option.optional));
  const command = path.at(-1) ?? program;
  const candidates =
    asking !== undefined
      ? (asking.argChoices ?? [])
      : typed.startsWith("-")
        ? [...options.map(({ long, short }) => long ?? short ?? ""), "--help"]
        : [
            ...command.commands.map((each) => each.name()).filter((name) => name !== COMPLETE_COMMAND),
            ...command.registeredArguments.flatMap(({ argChoices }) => argChoices ?? []),
          ];
  return candidates.filter((candidate) => candidate.startsWith(typed)).sort();
}

function isNamed({ long, short }: Option, word: string | undefined): boolean {
  return word !== undefined && (word === long || word === short);
}

/** The script to source in the shell's start-up file, or to put where the shell looks for completions. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return `_spanwire() { mapfile -t COMPREPLY < <(spanwire ${COMPLETE_COMMAND} -- "\${COMP_WORDS[@]:1:COMP_CWORD}"); }
complete -o default -F _spanwire spanwire
`;
    case "zsh":
      // Autoloaded, the file is the function's first call; sourced, it has only to be made known.
      return `#compdef spanwire
_spanwire() {
  local -a found=("\${(@f)$(spanwire ${COMPLETE_COMMAND} -- "\${words[@]:1:$((CURRENT - 1))}")}")
  if [[ -n $found[1] ]]; then compadd -a found; else _files; fi
}
if [[ $funcstack[1] == _spanwire ]]; then _spanwire; else compdef _spanwire spanwire; fi
`;
    case "fish":
      return `complete -c spanwire -f -a '(spanwire ${COMPLETE_COMMAND} -- (commandline -opc)[2..] (commandline -ct))'
complete -c spanwire -n 'test -z "$(spanwire ${COMPLETE_COMMAND} -- (commandline -opc)[2..] (commandline -ct))"' -F
`;
    default:
      return shell satisfies never;
  }
}
