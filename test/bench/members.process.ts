/** @module Connections that say to the hub what agents say, without being agents: what a hub of many costs. */
import { HEAD_SUBJECT, MAP_REPUBLISH, upSubject } from "@spanwire/core/subjects";
import { startAcknowledger } from "@spanwire/gateway/report/acknowledger";
import type { Position } from "@spanwire/gateway/subscription/position";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { createLog } from "@spanwire/runtime/log/create-log";
import { identityOf } from "./made-up-mesh.ts";
import { connectMember, type MemberUser } from "./member-user.ts";
import { serveParent } from "./serve-parent.ts";

export interface MembersOptions {
  readonly users: readonly MemberUser[];
  /** Absent: the connections alone. */
  readonly words?: Words;
}

/** What each says. */
export interface Words {
  readonly meshId: string;
  readonly position: Position;
  /** Of an agent of such a mesh. */
  readonly status: Uint8Array;
}

/** As agents do. */
const STATUS_EVERY_MS = 30_000;
const FIRST_WITHIN_MS = 5_000;

const { signal } = new AbortController(); // for as long as the process lives

const handlers = {
  /** Resolves when all are connected; each reports soon after. */
  async connect({ users, words }: MembersOptions): Promise<void> {
    await Promise.all(users.map((user) => connect(user, words)));
  },
};

export type MembersProgram = typeof handlers;

async function connect(user: MemberUser, words: Words | undefined): Promise<void> {
  const connection = await connectMember(user, signal);
  if (words === undefined) return connection.flush();
  for (const subject of [MAP_REPUBLISH, HEAD_SUBJECT]) connection.subscribe(subject, { callback: () => undefined });
  await connection.flush();

  const self = { clusterId: user.site.clusterId, ordinal: 0 };
  const { meshId, position, status } = words;
  const acknowledger = startAcknowledger({
    ...{ self, meshId, incarnation: 1n, signer: identityOf(user.site).signer, nats: () => connection },
    ...{ clock: systemClock, random: Math.random, log: createLog({ name: "member", level: "error" }), signal },
  });
  acknowledger.note({ position, atMs: systemClock.now(), absent: [], failures: [] });
  const report = () => connection.publish(upSubject(self, "status"), status);
  setTimeout(() => {
    report();
    setInterval(report, STATUS_EVERY_MS);
  }, Math.random() * FIRST_WITHIN_MS);
}

serveParent(handlers);
