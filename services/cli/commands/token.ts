/** @module `spanwire token`: join tokens. */
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  CreateTokenResponseSchema,
  ListTokensResponseSchema,
  RevokeTokenResponseSchema,
  type TokenInfo,
  TokenStateSchema,
} from "@spanwire/proto/fleet";
import { Command, InvalidArgumentError } from "commander";
import { parseDurationSeconds } from "../duration.ts";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import { parseOrdinal } from "../ordinal.ts";
import { formatAgo } from "../output/ago.ts";
import { enumName } from "../output/enum-name.ts";
import { render } from "../output/render.ts";
import { formatTable } from "../output/table.ts";
import { callOptions, type Session } from "../session.ts";

export function tokenCommand(session: Session): Command {
  return new Command("token")
    .description("create, list and revoke join tokens")
    .addCommand(createCommand(session))
    .addCommand(listCommand(session))
    .addCommand(revokeCommand(session));
}

function createCommand(session: Session): Command {
  return new Command("create")
    .description("create a join token for one gateway; it is shown once")
    .argument("<cluster>", "id of the cluster that joins")
    .option("--ttl <duration>", 'how long it can be used, as in "30m"', parseDurationSeconds, 3_600)
    .option("--ordinal <n>", "the only gateway ordinal it may take or take over", parseOrdinal)
    .addHelpText("after", EXAMPLES)
    .action(async (clusterId: string, options: { ttl: number; ordinal?: number }, command: Command) => {
      const { context, output } = globalOptions(command);
      const fleet = await session.fleet(context);
      const ttl = { seconds: BigInt(options.ttl) };
      const ordinal = options.ordinal === undefined ? {} : { ordinal: options.ordinal };
      const created = await fleet.createToken({ clusterId, ttl, ...ordinal }, callOptions(session));
      session.out(render(output, CreateTokenResponseSchema, created, () => `${created.token}\n`));
      const expires = formatAgo(created.info?.expiresAt, session.now());
      session.note(`usable once, for cluster "${clusterId}", and expires ${expires}; on the gateway run:\n`);
      session.note(`  spanwire agent run --token-file FILE --prefix CIDR --endpoint HOST\n`);
    });
}

const EXAMPLES = examples(
  "token create eu > eu.token",
  "token create eu --ttl 15m --ordinal 0    # eu's gateway 0 has lost its disk",
);

function listCommand(session: Session): Command {
  return new Command("list")
    .description("list join tokens, without their secrets")
    .addHelpText("after", examples("token list", "token list -o json"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const listed = await (await session.fleet(context)).listTokens({}, callOptions(session));
      session.out(render(output, ListTokensResponseSchema, listed, () => tokenTable(listed.tokens, session.now())));
    });
}

function revokeCommand(session: Session): Command {
  return new Command("revoke")
    .description("make a join token unusable; who joined with it stays")
    .argument("<id>", "the token's id, as `spanwire token list` shows it", parseTokenId)
    .addHelpText("after", examples("token revoke k7pd2qvx3mzn5rty"))
    .action(async (id: string, _options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const revoked = await (await session.fleet(context)).revokeToken({ id }, callOptions(session));
      session.out(render(output, RevokeTokenResponseSchema, revoked, () => `token ${id} revoked\n`));
    });
}

function parseTokenId(text: string): string {
  if (/^[a-z0-9]{16}$/.test(text)) return text;
  throw new InvalidArgumentError("a token's id has 16 letters and digits; see: spanwire token list");
}

function tokenTable(tokens: readonly TokenInfo[], nowMs: number): string {
  const byAge = [...tokens].sort((a, b) => createdMs(a) - createdMs(b));
  return formatTable(
    byAge,
    [
      { title: "id", value: (token) => token.id },
      { title: "cluster", value: (token) => token.clusterId },
      { title: "ordinal", value: (token) => (token.ordinal === undefined ? "any" : String(token.ordinal)) },
      { title: "state", value: (token) => enumName(TokenStateSchema, token.state) },
      { title: "created", value: (token) => formatAgo(token.createdAt, nowMs) },
      { title: "expires", value: (token) => formatAgo(token.expiresAt, nowMs) },
    ],
    { empty: "no join tokens; create one with: spanwire token create CLUSTER" },
  );
}

function createdMs({ createdAt }: TokenInfo): number {
  return createdAt === undefined ? 0 : timestampMs(createdAt);
}
