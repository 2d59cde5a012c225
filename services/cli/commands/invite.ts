/** @module `spanwire cluster invite` and `invites`: clusters that join by the tokens that their own platform makes. */
import { readFile } from "node:fs/promises";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { POD_NAME, POD_UID } from "@spanwire/core/identity/workload-rule";
import {
  type Invite,
  InviteClusterResponseSchema,
  ListInvitesResponseSchema,
  WithdrawInviteResponseSchema,
  type WorkloadIssuer,
  type WorkloadIssuerSchema,
} from "@spanwire/proto/fleet";
import { Command, InvalidArgumentError } from "commander";
import { examples } from "../examples.ts";
import { globalOptions } from "../global-options.ts";
import { parseOrdinal } from "../ordinal.ts";
import { formatAgo } from "../output/ago.ts";
import { render } from "../output/render.ts";
import { formatTable } from "../output/table.ts";
import { callOptions, type Session } from "../session.ts";

interface InviteFlags {
  readonly jwks?: string;
  readonly issuerUrl?: string;
  readonly caFile?: string;
  readonly issuer?: string;
  readonly audience?: string;
  readonly serviceAccount: string;
  readonly subject?: string;
  readonly claim?: Readonly<Record<string, string>>;
  readonly ordinal?: number;
  readonly ordinalClaim?: string;
  readonly instanceClaim?: string;
  readonly withdraw?: boolean;
}

export function inviteCommand(session: Session): Command {
  return new Command("invite")
    .description("let a cluster's gateways join by the tokens that its own API server or cloud gives them")
    .argument("<cluster>", "id of the cluster that joins")
    .option("--jwks <file>", "public keys of the cluster's API server (kubectl get --raw /openid/v1/jwks)")
    .option("--issuer-url <url>", "or where the issuer publishes its keys; the hub then follows their rotation")
    .option("--ca-file <file>", "CA of that URL, as PEM (default: those of the hub's system)")
    .option("--issuer <iss>", "what the tokens must call their issuer")
    .option("--audience <aud>", "what the tokens must be for (default spanwire-hub)")
    .option("--service-account <namespace/name>", "of the gateways' pods", parseServiceAccount, DEFAULT_ACCOUNT)
    .option("--subject <sub>", "outside of Kubernetes: the tokens' only subject")
    .option("--claim <pointer=value>", "a further claim that must be so, by JSON pointer; repeatable", collectClaim)
    .option("--ordinal <n>", "the only ordinal of these workloads", parseOrdinal)
    .option("--ordinal-claim <pointer>", `the claim that ends in the ordinal (default ${POD_NAME})`)
    .option("--instance-claim <pointer>", `the claim that tells instances apart (default ${POD_UID})`)
    .option("--withdraw", "let no more of its gateways join; those that have joined stay")
    .addHelpText("after", HELP)
    .action(async (clusterId: string, flags: InviteFlags, command: Command) => {
      const { context, output } = globalOptions(command);
      const issuer = flags.withdraw ? undefined : await issuerOf(flags, command);
      const fleet = await session.fleet(context);
      if (issuer === undefined) {
        const withdrawn = await fleet.withdrawInvite({ clusterId }, callOptions(session));
        const text = () => `invite of cluster ${clusterId} withdrawn\n`;
        session.out(render(output, WithdrawInviteResponseSchema, withdrawn, text));
        return;
      }
      const invited = await fleet.inviteCluster({ clusterId, issuer }, callOptions(session));
      session.out(render(output, InviteClusterResponseSchema, invited, () => `--set hub.invite=${invited.invite}\n`));
      session.note(`not secret: it says where the hub is and how to know it; for helm, or an agent's --invite\n`);
    });
}

const DEFAULT_ACCOUNT = "spanwire/spanwire-gateway";

const HELP = `
Nothing secret changes hands: the hub learns the cluster's public keys, the cluster where the hub is. Inviting again
replaces what was said before; give old and new keys together while an API server's signing key is exchanged.
${examples(
  "cluster invite eu --jwks eu-keys.json",
  "cluster invite eu --issuer-url https://oidc.example/eu --service-account network/gateway",
  "cluster invite plant --issuer-url https://accounts.example --subject 1234 --ordinal 0 --instance-claim /instance",
  "cluster invite eu --withdraw",
)}`;

export function invitesCommand(session: Session): Command {
  return new Command("invites")
    .description("list which clusters are invited, and by whose tokens")
    .addHelpText("after", examples("cluster invites", "cluster invites -o yaml"))
    .action(async (_options: object, command: Command) => {
      const { context, output } = globalOptions(command);
      const listed = await (await session.fleet(context)).listInvites({}, callOptions(session));
      session.out(render(output, ListInvitesResponseSchema, listed, () => inviteTable(listed.invites, session.now())));
    });
}

async function issuerOf(flags: InviteFlags, command: Command): Promise<MessageInitShape<typeof WorkloadIssuerSchema>> {
  const { jwks, issuerUrl: url = "", caFile, issuer = "", audience = "", ordinal } = flags;
  if ((jwks === undefined) === (url === ""))
    command.error("error: give either --jwks or --issuer-url", { exitCode: 2 });
  const [namespace = "", name = ""] = flags.serviceAccount.split("/");
  return {
    jwks: jwks === undefined ? "" : await readFile(jwks, "utf8"),
    url,
    caPem: caFile === undefined ? "" : await readFile(caFile, "utf8"),
    issuer,
    audience,
    subject: flags.subject ?? `system:serviceaccount:${namespace}:${name}`,
    claims: flags.claim ?? {},
    ...(ordinal === undefined ? { ordinalClaim: flags.ordinalClaim ?? POD_NAME } : { ordinal }),
    instanceClaim: flags.instanceClaim ?? POD_UID,
  };
}

function inviteTable(invites: readonly Invite[], nowMs: number): string {
  return formatTable(
    invites,
    [
      { title: "cluster", value: ({ clusterId }) => clusterId },
      { title: "keys", value: ({ issuer }) => (issuer ? keysText(issuer) : "") },
      { title: "subject", value: ({ issuer }) => issuer?.subject ?? "" },
      { title: "state", value: (invite) => (invite.void ? "void" : "good") },
      { title: "invited", value: ({ createdAt }) => formatAgo(createdAt, nowMs) },
    ],
    { empty: "no invites; make one with: spanwire cluster invite CLUSTER --jwks FILE" },
  );
}

function keysText({ url, jwks }: WorkloadIssuer): string {
  if (url !== "") return url;
  const { keys } = JSON.parse(jwks) as { readonly keys: readonly { readonly kid?: string }[] };
  return keys.map(({ kid = "?" }) => kid.slice(0, 12)).join(",");
}

function parseServiceAccount(text: string): string {
  if (/^[a-z0-9-]+\/[a-z0-9.-]+$/.test(text)) return text;
  throw new InvalidArgumentError('write namespace and name as in "spanwire/gateway"');
}

function collectClaim(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const [, pointer, value] = /^(\/[^=]+)=(.*)$/.exec(text) ?? [];
  if (pointer === undefined || value === undefined) throw new InvalidArgumentError('write it as in "/groups/0=mesh"');
  return { ...before, [pointer]: value };
}
