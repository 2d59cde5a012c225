import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { SpanwireError } from "@spanwire/core/errors";
import { formatInvite } from "@spanwire/core/identity/invite";
import { formatJoinToken, type JoinToken } from "@spanwire/core/identity/join-token";
import { Secret } from "@spanwire/core/identity/secret";
import { ClusterKind } from "@spanwire/proto/record";
import { FakeClock } from "@spanwire/runtime/clock/fake-clock";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { sha256 } from "@spanwire/runtime/crypto/sha256";
import { createRecordingLog } from "@spanwire/runtime/log/recording-log";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ensureIdentity } from "../identity/gateway-identity.ts";
import { ensureMembership, type JoinOptions, rejoinWith } from "./join.ts";
import { findMembership } from "./membership.ts";
import { leave } from "./renew.ts";
import { renewAtMs, startRenewal } from "./renewal.ts";
import { startTestHub, type TestHub } from "./test-hub.ts";

let hub: TestHub;
let stateDirectory: string;
let stop: AbortController;
beforeEach(async () => {
  hub = await startTestHub();
  stateDirectory = await mkdtemp(join(tmpdir(), "spanwire-join-"));
  stop = new AbortController();
});
afterEach(async () => {
  stop.abort();
  await hub[Symbol.asyncDispose]();
  await rm(stateDirectory, { recursive: true, force: true });
});

async function joinOptions(
  token: JoinToken | undefined = hub.token,
  more: Partial<JoinOptions> = {},
): Promise<JoinOptions> {
  return {
    stateDirectory,
    identity: await ensureIdentity(stateDirectory),
    token: token && formatJoinToken(token),
    clusterId: "eu",
    hubAddress: undefined,
    wish: {
      kind: ClusterKind.VM,
      prefixes: ["10.2.0.0/16", "10.1.0.0/16"],
      labels: { b: "2", a: "1" },
      ordinal: undefined,
    },
    clock: systemClock,
    random: () => 0,
    log: createRecordingLog(),
    signal: stop.signal,
    ...more,
  };
}

describe("join", () => {
  test("registers with the token, proven by the identity, and keeps the membership", async () => {
    const options = await joinOptions();
    const membership = await ensureMembership(options);
    expect(membership).toMatchObject({ clusterId: "eu", ordinal: 0, incarnation: 1n, mapState: { sequence: 7n } });
    expect(hub.registrations).toMatchObject([
      {
        clusterId: "eu",
        prefixes: ["10.1.0.0/16", "10.2.0.0/16"],
        labels: { a: "1", b: "2" },
        nkey: options.identity.nkey.publicKey,
        token: { id: hub.token.id, secret: Buffer.from(hub.token.secret.reveal()) },
      },
    ]);
    expect(hub.identityKeys.map((key) => new Uint8Array(key))).toEqual([options.identity.signer.publicKey]);
    expect(await findMembership(stateDirectory)).toEqual(membership);
  });

  test("keeps the token for later once joined, also while the hub is away", async () => {
    const first = await ensureMembership(await joinOptions());
    await hub[Symbol.asyncDispose]();
    const log = createRecordingLog();
    expect(await ensureMembership(await joinOptions(hub.token, { log }))).toEqual(first);
    expect(await ensureMembership(await joinOptions(undefined, { token: undefined }))).toEqual(first);
    expect(log.events.map(({ message }) => message)).toEqual(["joined before: the token waits"]);
  });

  test("registers with an invite and the workload's token, and no secret of the hub's", async () => {
    const workloadTokenFile = join(stateDirectory, "projected");
    await writeFile(workloadTokenFile, "e30.e30.AA\n");
    const way = { token: undefined, invite: formatInvite(hub.token), workloadTokenFile };
    expect(await ensureMembership(await joinOptions(undefined, way))).toMatchObject({ clusterId: "eu", ordinal: 0 });
    expect(hub.registrations).toMatchObject([{ clusterId: "eu", workloadToken: "e30.e30.AA" }]);
    expect(hub.registrations[0]?.token).toBeUndefined();
  });

  test.each([
    { name: "no file of the token", way: {}, want: 'project a ServiceAccount token with audience "spanwire-hub"' },
    { name: "an invite for another cluster", way: { clusterId: "us" }, want: 'the invite is for cluster "eu"' },
    { name: "an invite that was cut", way: { invite: "swi1.AAAA" }, want: "spanwire cluster invite" },
  ])("with $name it says what to do", async ({ way, want }) => {
    const none = { token: undefined, invite: formatInvite(hub.token), workloadTokenFile: join(stateDirectory, "none") };
    await expect(ensureMembership(await joinOptions(undefined, { ...none, ...way }))).rejects.toThrow(want);
  });

  test("asks again with the same identity and the same request when the answer was lost", async () => {
    hub.refusals.push(
      new SpanwireError("unavailable", "the leader changes"),
      new SpanwireError("unavailable", "again"),
    );
    await ensureMembership(await joinOptions());
    expect(hub.identityKeys).toHaveLength(1);
    expect(hub.refusals).toEqual([]);
  });

  test("waits for a hub that is not there yet, and stops waiting when told to", async () => {
    await hub[Symbol.asyncDispose]();
    const clock = new FakeClock();
    const joining = ensureMembership(await joinOptions(hub.token, { clock, random: () => 0.5 }));
    await clock.asleep();
    stop.abort(new Error("closing"));
    await expect(joining).rejects.toThrow("closing");
  });

  test.each([
    {
      name: "no token",
      token: () => undefined,
      want: 'no join token: make one at the hub with "spanwire token create eu"',
    },
    {
      name: "a token for another cluster",
      token: () => ({ ...hub.token, clusterId: "us" }),
      want: 'the token is for cluster "us"',
    },
    {
      name: "another CA than the token's",
      token: () => ({ ...hub.token, caSpkiSha256: new Uint8Array(32) }),
      want: "is the CA that",
    },
    {
      name: "another authority than the token's",
      token: () => ({ ...hub.token, authoritySha256: sha256("x") }),
      want: "authority key is not the one",
    },
  ])("refuses $name and says what to do", async ({ token, want }) => {
    const chosen = token();
    const options = await joinOptions(chosen, chosen === undefined ? { token: undefined } : {});
    await expect(ensureMembership(options)).rejects.toThrow(want);
    expect(await findMembership(stateDirectory)).toBeUndefined();
  });

  test("tells the secret to nobody but the pinned hub", async () => {
    await using other = await startTestHub();
    const token = { ...hub.token, hubAddress: other.token.hubAddress };
    await expect(ensureMembership(await joinOptions(token))).rejects.toMatchObject({ reason: "PIN_MISMATCH" });
    expect(other.registrations).toEqual([]);
  });

  test("gives the hub's refusal as it is", async () => {
    hub.refusals.push(
      new SpanwireError("conflict", 'prefix 10.1.0.0/16 of "eu" overlaps 10.0.0.0/8 of "us"', {
        reason: "PREFIX_OVERLAP",
      }),
    );
    await expect(ensureMembership(await joinOptions())).rejects.toMatchObject({
      reason: "PREFIX_OVERLAP",
      message: expect.stringContaining('overlaps 10.0.0.0/8 of "us"'),
    });
  });

  test("a text that is no token is not repeated", async () => {
    const token = new Secret(Buffer.from("sw1.notatokenbutperhapsapassword"));
    const error = await ensureMembership(await joinOptions(hub.token, { token })).catch(String);
    expect(error).toContain("join token: ");
    expect(error).not.toContain("password");
  });

  test("a state directory of another cluster, or a damaged membership, is an error", async () => {
    await ensureMembership(await joinOptions());
    await expect(ensureMembership(await joinOptions(hub.token, { clusterId: "us" }))).rejects.toThrow(
      'belongs to cluster "eu"',
    );
    await writeFile(join(stateDirectory, "membership"), "rot");
    await expect(ensureMembership(await joinOptions())).rejects.toMatchObject({ code: "corrupt" });
  });

  test("finds the hub at a new address", async () => {
    await ensureMembership(await joinOptions());
    const moved = await ensureMembership(await joinOptions(undefined, { hubAddress: "hub.example:7443" }));
    expect(moved.hubAddress).toBe("hub.example:7443");
  });
});

describe("renewal", () => {
  const LIFETIME_MS = 3_600_000;

  async function start(way: Partial<JoinOptions> = { token: undefined }) {
    const clock = new FakeClock(1_000_000);
    const expireInMs = (ms: number) => {
      hub.credentials = { ...hub.credentials, expiresAt: timestampFromMs(clock.now() + ms) };
    };
    expireInMs(LIFETIME_MS);
    const options = await joinOptions(hub.token, { clock, random: () => 0.5 });
    const membership = await ensureMembership(options);
    const renewed: string[] = [];
    const log = createRecordingLog();
    const renewal = startRenewal({
      ...options,
      log,
      membership,
      signer: options.identity.signer,
      onRenewed: ({ credentials }) => renewed.push(credentials.natsUserJwt),
      rejoin: rejoinWith({ ...options, ...way }),
      onRejoined: () => renewed.push("joined again"),
    });
    return { clock, renewal, renewed, expireInMs, log };
  }
  const forgotten = () =>
    new SpanwireError("denied", "not admitted: spanwire token create eu", { reason: "UNKNOWN_GATEWAY" });
  const settled = (condition: () => boolean) => expect.poll(condition).toBe(true);

  test("renews at about 60 % of the lifetime, and again", async () => {
    const { clock, renewal, renewed, expireInMs } = await start();
    await clock.advance(LIFETIME_MS * 0.6 - 1);
    expect(hub.calls).toEqual([]);
    hub.credentials = { ...hub.credentials, natsUserJwt: "jwt-2" };
    expireInMs(LIFETIME_MS);
    await clock.advance(1);
    await settled(() => renewed.length === 1);
    expect(renewed).toEqual(["jwt-2"]);
    expect(renewal.membership.credentials.natsUserJwt).toBe("jwt-2");
    expect((await findMembership(stateDirectory))?.credentials.natsUserJwt).toBe("jwt-2");
    await clock.asleep();
    await clock.advance(LIFETIME_MS);
    await settled(() => renewed.length === 2);
  });

  test("goes on trying after the credentials have expired, and works then", async () => {
    const { clock, renewal, renewed } = await start();
    for (let n = 0; n < 5; n++) hub.refusals.push(new SpanwireError("unavailable", "away"));
    await clock.advance(LIFETIME_MS * 2);
    await settled(() => hub.refusals.length < 5);
    expect(renewal.problem).toContain("away");
    while (renewed.length === 0) {
      await clock.asleep();
      await clock.advance(30_000);
    }
    expect(renewal.problem).toBeUndefined();
  });

  test("a refusal is reported, and asked about again now and then", async () => {
    const { clock, renewal, renewed, log } = await start();
    hub.refusals.push(new SpanwireError("denied", "this gateway was revoked"));
    await clock.advance(LIFETIME_MS);
    await settled(() => renewal.problem !== undefined);
    expect(renewal.problem).toContain("revoked");
    expect(log.events.at(-1)?.level).toBe("error");
    await clock.asleep();
    await clock.advance(300_000);
    await settled(() => renewed.length === 1);
  });

  test("a gateway that the hub has forgotten joins again by its workload's token, read anew", async () => {
    const workloadTokenFile = join(stateDirectory, "projected");
    const invite = formatInvite(hub.token);
    const { clock, renewed, renewal } = await start({ token: undefined, invite, workloadTokenFile });
    await writeFile(workloadTokenFile, "e30.e30.AA\n");
    hub.refusals.push(forgotten(), new SpanwireError("denied", "an old token", { reason: "JWT_EXPIRED" }));
    await clock.advance(LIFETIME_MS * 30);
    await settled(() => renewal.problem?.includes("an old token") === true);
    await writeFile(workloadTokenFile, "e30.e30.BB\n");
    hub.refusals.push(forgotten());
    await clock.asleep();
    await clock.advance(300_000);
    await settled(() => renewed.includes("joined again"));
    expect(hub.registrations.map(({ workloadToken }) => workloadToken)).toEqual(["", "e30.e30.BB"]);
    expect(new Set(hub.identityKeys.map(String)).size).toBe(1);
  });

  test("a gateway that the hub has forgotten, and that has nothing to join with, says which command to run", async () => {
    const { clock, renewal, renewed } = await start();
    hub.refusals.push(forgotten());
    await clock.advance(LIFETIME_MS * 30);
    await settled(() => renewal.problem !== undefined);
    expect(renewal.problem).toContain("spanwire token create eu");
    expect(renewed).toEqual([]);
  });

  test("another authority is refused and changes nothing", async () => {
    const { clock, renewal } = await start();
    hub.credentials = { ...hub.credentials, authorityKey: new Uint8Array(32), natsUserJwt: "evil" };
    await clock.advance(LIFETIME_MS);
    await settled(() => renewal.problem !== undefined);
    expect(renewal.problem).toContain("another authority");
    expect(renewal.membership.credentials.natsUserJwt).toBe("jwt-1");
  });

  test("renews at once when asked to, and when the clock was stepped back", async () => {
    const { clock, renewal, renewed } = await start();
    await clock.asleep();
    renewal.now();
    await settled(() => renewed.length === 1);
    await clock.asleep();
    clock.step(-LIFETIME_MS);
    await clock.advance(3_600_000);
    await settled(() => renewed.length === 2);
  });

  test("spreads the renewals", () => {
    const credentials = { expiresAt: { seconds: 1_000n } } as never;
    const membership = { receivedAtMs: 0, credentials } as never;
    expect([0, 0.999].map((random) => renewAtMs(membership, () => random))).toEqual([500_000, expect.closeTo(699_800)]);
  });
});

test("leave is proven by the identity", async () => {
  const options = await joinOptions();
  const membership = await ensureMembership(options);
  await leave({ membership, signer: options.identity.signer, signal: stop.signal });
  expect(hub.calls).toEqual(["Leave"]);
});
