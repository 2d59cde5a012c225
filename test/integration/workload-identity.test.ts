import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SpanwireError } from "@spanwire/core/errors";
import { type Invite, parseInvite } from "@spanwire/core/identity/invite";
import { ensureIdentity } from "@spanwire/gateway/identity/gateway-identity";
import { ensureMembership } from "@spanwire/gateway/join/join";
import { createTestGateway, makeDirectory, type RunningHub, startHub, type TestGateway } from "@spanwire/hub/testing";
import { ClusterKind } from "@spanwire/proto/record";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { systemRandom } from "@spanwire/runtime/crypto/random";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type KubeApi, startKubeApi } from "../lab/kube-api.ts";
import { kubernetesPaths } from "../lab/kubernetes-binaries.ts";
import { runTier } from "../lab/tier.ts";
import { runCli } from "./run-cli.ts";

const outcome = await runTier("two real kube-apiservers", () => kubernetesPaths());

describe.skipIf(outcome.kind === "skipped")("pods of two API servers with the same issuer", () => {
  let directory: string;
  let dir: Awaited<ReturnType<typeof makeDirectory>>;
  let hub: RunningHub;
  let apis: { readonly eu: KubeApi; readonly us: KubeApi };
  let invites: { readonly eu: Invite; readonly us: Invite };
  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), "spanwire-workload-"));
    dir = await makeDirectory();
    const [eu, us, started] = await Promise.all([startKubeApi(), startKubeApi(), startHub({ dir: dir.path })]);
    apis = { eu, us };
    hub = started;
    await writeFile(join(directory, "us-ca.pem"), us.caPem);
    invites = { eu: await inviteByKeys(), us: await inviteByUrl() };
  });
  afterAll(async () => {
    await Promise.all([apis?.eu, apis?.us, hub].map((each) => each?.[Symbol.asyncDispose]()));
    await dir?.[Symbol.asyncDispose]();
    await rm(directory, { recursive: true, force: true });
  });

  /** As an operator does, with the key set that `kubectl get --raw /openid/v1/jwks` printed. */
  async function inviteByKeys(): Promise<Invite> {
    await writeFile(join(directory, "eu.json"), await apis.eu.jwks());
    return invite("eu", "--jwks", join(directory, "eu.json"));
  }
  function inviteByUrl(): Promise<Invite> {
    return invite("us", "--issuer-url", apis.us.url, "--ca-file", join(directory, "us-ca.pem"));
  }
  async function invite(cluster: string, ...options: string[]): Promise<Invite> {
    const printed = await spanwire("cluster", "invite", cluster, "--service-account", "spanwire/gateway", ...options);
    return parseInvite(printed.replace("--set hub.invite=", ""));
  }
  async function spanwire(...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await runCli(args, { context: hub.ready.contextFile });
    expect(stderr).not.toContain("spanwire: ");
    expect(code).toBe(0);
    return stdout;
  }

  /** The ordinal, or the reason of the refusal. */
  function tryJoin(as: Invite, token: string, gateway: TestGateway = createTestGateway()): Promise<number | string> {
    return gateway.registerAs(as, token).then(
      ({ ordinal }) => ordinal,
      ({ reason }: SpanwireError) => reason,
    );
  }

  test("an agent joins with an invite and the file that the kubelet keeps, and nothing secret of the hub's", async () => {
    await apis.eu.replacePod("gateway-0");
    const workloadTokenFile = join(directory, "token");
    await writeFile(workloadTokenFile, await apis.eu.token({ pod: "gateway-0" }));
    const printed = await spanwire(
      "cluster",
      "invite",
      "eu",
      "--service-account",
      "spanwire/gateway",
      "--jwks",
      join(directory, "eu.json"),
    );
    const stateDirectory = join(directory, "agent");
    const membership = await ensureMembership({
      ...{ stateDirectory, identity: await ensureIdentity(stateDirectory) },
      ...{ token: undefined, invite: printed.trim().replace("--set hub.invite=", ""), workloadTokenFile },
      ...{ clusterId: undefined, hubAddress: undefined },
      wish: { kind: ClusterKind.KUBERNETES, prefixes: ["10.1.0.0/16"], labels: {}, ordinal: undefined },
      ...{ clock: systemClock, random: systemRandom, log: createRecordingLog(), signal: AbortSignal.timeout(60_000) },
    });
    expect(membership).toMatchObject({ clusterId: "eu", ordinal: 0, incarnation: 1n });
  });

  test("a token of one cluster is none of the other, whoever shows it", async () => {
    for (const [own, other] of [
      ["eu", "us"],
      ["us", "eu"],
    ] as const) {
      await apis[own].replacePod("gateway-3");
      const token = await apis[own].token({ pod: "gateway-3" });
      // Of keys that the hub asks the issuer for, it says that it will ask again.
      expect(["JWT_INVALID", "JWT_KEY_UNKNOWN"]).toContain(await tryJoin(invites[other], token));
    }
    const { clusters } = await hub.fleet.listClusters({}, { timeoutMs: 60_000 });
    expect(clusters.flatMap(({ gateways }) => gateways.map(({ ordinal }) => ordinal))).not.toContain(3);
  });

  test.each([
    {
      name: "for another audience",
      options: { pod: "gateway-1", audience: "https://kubernetes.default.svc" },
      want: "JWT_WRONG_AUDIENCE",
    },
    { name: "of another ServiceAccount", options: { serviceAccount: "other" }, want: "WORKLOAD_WRONG_SUBJECT" },
    { name: "that is bound to no pod", options: {}, want: "WORKLOAD_CLAIM_MISSING" },
    { name: "that lives for two days", options: { pod: "gateway-1", lifetimeS: 172_800 }, want: "JWT_LIVES_TOO_LONG" },
  ])("a real token $name is refused", async ({ options, want }) => {
    await apis.eu.replacePod("gateway-1");
    expect(await tryJoin(invites.eu, await apis.eu.token(options))).toBe(want);
  });

  test("a replaced pod takes its predecessor's place; the predecessor's token and identity are good no more", async () => {
    const [first, second] = [createTestGateway(), createTestGateway()];
    await apis.us.replacePod("gateway-0");
    const stolen = await apis.us.token({ pod: "gateway-0" });
    expect(await tryJoin(invites.us, stolen, first)).toBe(0);
    await nextSecond(); // tokens tell their time in seconds
    await apis.us.replacePod("gateway-0");
    expect(await tryJoin(invites.us, await apis.us.token({ pod: "gateway-0" }), second)).toBe(0);
    expect(await tryJoin(invites.us, stolen, first)).toBe("WORKLOAD_SUPERSEDED");
    expect(await tryJoin(invites.us, stolen)).toBe("WORKLOAD_SUPERSEDED");
    await expect(first.renew(invites.us)).rejects.toMatchObject({ reason: "UNKNOWN_GATEWAY" });
    expect((await second.renew(invites.us)).credentials?.natsUserJwt).not.toBe("");
  });

  test("the hub follows an exchange of the signing key by itself, or by another invite", async () => {
    await Promise.all([apis.us.exchangeKey(), apis.eu.exchangeKey({ forget: true })]);
    for (const api of [apis.us, apis.eu]) await api.replacePod("gateway-1");
    const [us, eu] = await Promise.all([apis.us.token({ pod: "gateway-1" }), apis.eu.token({ pod: "gateway-1" })]);
    const gateway = createTestGateway();
    await expect.poll(() => tryJoin(invites.us, us, gateway), { interval: 500 }).toBe(1);
    expect(await tryJoin(invites.eu, eu)).toBe("JWT_INVALID");
    await inviteByKeys();
    expect(await tryJoin(invites.eu, eu)).toBe(1);
  });

  test("after the cluster's revocation its pods stay out until it is invited again", async () => {
    await spanwire("cluster", "revoke", "eu", "--no-wait");
    await apis.eu.replacePod("gateway-0");
    const token = await apis.eu.token({ pod: "gateway-0" });
    expect(await tryJoin(invites.eu, token)).toBe("WORKLOAD_NOT_INVITED");
    expect(await spanwire("cluster", "invites")).not.toMatch(/^eu /m);
    await inviteByKeys();
    expect(await tryJoin(invites.eu, token)).toBe(0);
  });
});

async function nextSecond(): Promise<void> {
  const nowS = () => Math.floor(Date.now() / 1_000);
  const before = nowS();
  await expect.poll(nowS).toBeGreaterThan(before);
}
