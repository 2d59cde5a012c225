/** @module The control: bare NATS subscribers, which verify one Ed25519 signature in each message and do nothing else. */
import type { NatsConnection } from "@nats-io/transport-node";
import { MAP_REPUBLISH } from "@spanwire/core/subjects";
import { createVerify } from "@spanwire/runtime/crypto/verify";
import { connectMember, type MemberUser } from "./member-user.ts";
import { nowMs } from "./now.ts";
import { type Round, type RoundMeter, startRound } from "./round.ts";
import { serveParent } from "./serve-parent.ts";

const SIGNATURE_BYTES = 64;

const stop = new AbortController();
const connections: NatsConnection[] = [];
const verify = createVerify();
let armed: { readonly round: RoundMeter; readonly publicKey: Uint8Array | undefined } | undefined;

const handlers = {
  async connect(users: readonly MemberUser[]): Promise<void> {
    await Promise.all(
      users.map(async (user) => {
        const connection = await connectMember(user, stop.signal);
        connection.subscribe(MAP_REPUBLISH, { callback: (_error, { data }) => hear(data) });
        await connection.flush();
        connections.push(connection);
      }),
    );
  },
  /** The next message that each hears counts; without a key it is not verified. */
  arm(publicKey: Uint8Array | undefined): void {
    armed = { round: startRound(connections.length), publicKey };
  },
  /** When each was done with it. */
  finish(): Promise<Round> {
    if (armed === undefined) throw new Error("not armed");
    return armed.round.done;
  },
};

export type BareProgram = typeof handlers;

/** A message is the signature and what it covers. */
function hear(data: Uint8Array): void {
  if (armed === undefined) return;
  const { round, publicKey } = armed;
  const isGood =
    publicKey === undefined || verify(publicKey, data.subarray(SIGNATURE_BYTES), data.subarray(0, SIGNATURE_BYTES));
  if (!isGood) throw new Error("a signature does not match");
  round.note(nowMs());
}

serveParent(handlers);
