/** @module `spanwire version`: of this program and, where it can be reached, of the hub. */

import { toJson } from "@bufbuild/protobuf";
import { VERSION } from "@spanwire/core/version";
import { type GetVersionResponse, GetVersionResponseSchema } from "@spanwire/proto/fleet";
import { Command } from "commander";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import { renderValue } from "../output/render.ts";
import { callOptions, type Session } from "../session.ts";

export function versionCommand(session: Session): Command {
  return new Command("version")
    .description("print the version of this program and of the hub")
    .option("--client", "do not ask the hub")
    .addHelpText("after", examples("version", "version --client -o json"))
    .action(async ({ client }: { client?: boolean }, command: Command) => {
      const { context, output } = globalOptions(command);
      const hub = client === true ? undefined : await askHub(session, context);
      session.out(
        renderValue(
          output,
          () => versionsOf(hub),
          () => versionText(hub),
        ),
      );
    });
}

function versionsOf(hub: GetVersionResponse | undefined): unknown {
  const client = { client: VERSION, node: process.versions.node };
  return hub === undefined ? client : { ...client, hub: toJson(GetVersionResponseSchema, hub) };
}

function versionText(hub: GetVersionResponse | undefined): string {
  const client = `spanwire ${VERSION}, node ${process.versions.node}\n`;
  return hub === undefined
    ? client
    : `${client}hub ${hub.version}, mesh ${hub.meshId}, nats-server ${hub.natsVersion}\n`;
}

/** A hub that is away is no failure here: the person asked what they have. */
async function askHub(session: Session, context: string | undefined): Promise<GetVersionResponse | undefined> {
  try {
    return await (await session.fleet(context)).getVersion({}, callOptions(session));
  } catch (error) {
    session.note(`hub: ${error instanceof Error ? error.message : String(error)}\n`);
    return undefined;
  }
}
