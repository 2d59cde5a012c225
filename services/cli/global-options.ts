/** @module Options that every command takes. */
import { type Command, Option } from "commander";
import { OUTPUT_FORMATS, type OutputFormat } from "./output/render.ts";

export interface GlobalOptions {
  readonly context?: string;
  readonly output: OutputFormat;
  readonly tracesEndpoint?: string;
}

export function addGlobalOptions(program: Command): Command {
  return program
    .addOption(new Option("--context <file>", "the operator's context file").env("SPANWIRE_CONTEXT"))
    .addOption(new Option("-o, --output <format>", "table, json or yaml").choices(OUTPUT_FORMATS).default("table"))
    .addOption(
      new Option("--traces-endpoint <url>", "OTLP collector for the calls to the hub").env("SPANWIRE_TRACES_ENDPOINT"),
    );
}

/** The global options as given to any command below the program. */
export function globalOptions(command: Command): GlobalOptions {
  return command.optsWithGlobals<GlobalOptions>();
}
