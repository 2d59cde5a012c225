/** @module `spanwire operator`: who may use the hub's API. */
import { resolve } from "node:path";
import { timestampMs } from "@bufbuild/protobuf/wkt";
import {
  CreateOperatorResponseSchema,
  ListOperatorsResponseSchema,
  type Operator,
  OperatorRole,
  OperatorRoleSchema,
  RevokeOperatorResponseSchema,
} from "@spanwire/proto/fleet";
import { writeOperatorContext } from "@spanwire/runtime/operator-context/operator-context";
import { Command, Option } from "commander";
import { parseDurationSeconds } from "../duration.ts";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import { formatAgo } from "../output/ago.ts";
import { enumName } from "../output/enum-name.ts";
import { render } from "../output/render.ts";
import { formatTable } from "../output/table.ts";
import { callOptions, type Session } from "../session.ts";

const ROLES = { viewer: OperatorRole.VIEWER, operator: OperatorRole.OPERATOR, admin: OperatorRole.ADMIN } as const;

interface CreateOptions {
  readonly role: keyof typeof ROLES;
  readonly out: string;
  readonly ttl: number;
}

export function operatorCommand(session: Session): Command {
  return new Command("operator")
    .description("give people and programs access to the hub's API")
    .addCommand(createCommand(session))
    .addCommand(bearerCommand(session))
    .addCommand(listCommand(session))
    .addCommand(revokeCommand(session));
}

function createCommand(session: Session): Command {
  return new Command("create")
    .description("write a context file for another operator: a key made here, and the hub's certificate of it")
    .argument("<name>", "of the person or program, a DNS label")
    .addOption(new Option("--role <role>", "what it may do").choices(Object.keys(ROLES)).makeOptionMandatory())
    .requiredOption("--out <file>", "the context file to write, 0600: whoever has it is that operator")
    .option("--ttl <duration>", 'how long the certificate is good, as in "30d"', parseDurationSeconds, 30 * 86_400)
    .addHelpText("after", HELP)
    .action(async (name: string, { role, out, ttl }: CreateOptions, command: Command) => {
      const { context: path, output } = globalOptions(command);
      const own = await session.context(path);
      const { createRequestedKey } = await import("@spanwire/hub/authority/requested-key");
      const { publicKeySpki, request, privateKeyPem } = createRequestedKey();
      const key = { publicKey: new Uint8Array(publicKeySpki), certificateRequest: new Uint8Array(request) };
      const wish = { name, role: ROLES[role], ttl: { seconds: BigInt(ttl) }, ...key };
      const created = await (await session.fleet(path)).createOperator(wish, callOptions(session));
      const { certificatePem, expiresAt } = created;
      const { address, meshId, authorityKey, caPem } = own;
      await writeOperatorContext(out, { address, meshId, authorityKey, caPem, certificatePem, privateKeyPem });
      const until = expiresAt === undefined ? "" : new Date(timestampMs(expiresAt)).toISOString();
      const text = () => `${out}: ${role} "${name}" until ${until}; use it with: spanwire --context ${out} status\n`;
      session.out(render(output, CreateOperatorResponseSchema, created, text));
    });
}

const HELP = `
A viewer looks; an operator changes tokens, clusters, links and revocations; an admin makes operators and backups.
The private key is made here and goes nowhere but into the file.
${examples(
  "operator create alice --role operator --out alice.json",
  "operator create dashboard --role viewer --ttl 365d --out dashboard.json",
)}`;

interface BearerOptions {
  readonly address: string;
  readonly tokenFile: string;
  readonly out: string;
}

function bearerCommand(session: Session): Command {
  return new Command("bearer")
    .description(
      "write a context file for whoever comes with a token of the company's sign-in; nothing in it is secret",
    )
    .requiredOption("--address <host:port>", "where the hub takes such tokens (operators.oidc.port)")
    .requiredOption("--token-file <file>", "where the token will be; it is read anew for each call")
    .requiredOption("--out <file>", "the context file to write")
    .addHelpText("after", examples("operator bearer --address hub.example:7445 --token-file token --out sign-in.json"))
    .action(async ({ address, tokenFile, out }: BearerOptions, command: Command) => {
      const { context: path } = globalOptions(command);
      const { meshId, authorityKey, caPem } = await session.context(path);
      await writeOperatorContext(out, { address, meshId, authorityKey, caPem, bearerTokenFile: resolve(tokenFile) });
      session.note(`${out}: use it with: spanwire --context ${out} status\n`);
    });
}

function listCommand(session: Session): Command {
  return new Command("list")
    .description("list the certificates that let operators in; who comes by a sign-in's token has none")
    .addHelpText("after", examples("operator list", "operator list -o json"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const listed = await (await session.fleet(context)).listOperators({}, callOptions(session));
      const text = () => operatorTable(listed.operators, session.now());
      session.out(render(output, ListOperatorsResponseSchema, listed, text));
    });
}

function revokeCommand(session: Session): Command {
  return new Command("revoke")
    .description("refuse an operator's certificates at once, at every hub; calls under way end")
    .argument("<name>", "the operator's name, or the serial number of one certificate with --serial")
    .option("--serial", "the argument is a serial number, as `spanwire operator list` shows it")
    .option("--reason <text>", "why, for the record", "revoked by an operator")
    .addHelpText("after", examples("operator revoke alice", "operator revoke --serial 5f3a9c0e"))
    .action(async (which: string, { serial, reason }: { serial?: boolean; reason: string }, command: Command) => {
      const { context, output } = globalOptions(command);
      const meant = serial ? { serial: which.toLowerCase() } : { name: which };
      const revoked = await (await session.fleet(context)).revokeOperator({ ...meant, reason }, callOptions(session));
      const text = () => revoked.operators.map((each) => `revoked ${each.name}, ${each.serial}\n`).join("");
      session.out(render(output, RevokeOperatorResponseSchema, revoked, text));
    });
}

function operatorTable(operators: readonly Operator[], nowMs: number): string {
  return formatTable(
    operators,
    [
      { title: "name", value: ({ name }) => name },
      { title: "role", value: ({ role }) => enumName(OperatorRoleSchema, role) },
      { title: "serial", value: ({ serial }) => serial },
      { title: "created", value: ({ createdAt }) => formatAgo(createdAt, nowMs) },
      { title: "expires", value: ({ expiresAt }) => formatAgo(expiresAt, nowMs) },
      { title: "revoked", value: ({ revokedAt }) => (revokedAt === undefined ? "" : formatAgo(revokedAt, nowMs)) },
    ],
    { empty: "no operators" },
  );
}
