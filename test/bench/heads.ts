/** @module The hub's heads as a beat: what is measured begins in the quiet between two of them. */
import { HEAD_SUBJECT } from "@spanwire/core/subjects";
import { systemClock } from "@spanwire/runtime/clock/system-clock";
import { connectMember, type MemberUser } from "./member-user.ts";

export interface Heads extends AsyncDisposable {
  /** Resolves some time after the `count`th next head, when every agent has heard it. */
  quiet(count: number): Promise<void>;
}

/** A thousand agents on two cores are done with a head by then; the next one comes after 2 s. */
const AFTER_HEAD_MS = 600;

export async function followHeads(user: MemberUser): Promise<Heads> {
  const stop = new AbortController();
  const connection = await connectMember(user, stop.signal);
  let next = Promise.withResolvers<void>();
  connection.subscribe(HEAD_SUBJECT, {
    callback() {
      next.resolve();
      next = Promise.withResolvers();
    },
  });
  return {
    async quiet(count) {
      for (let heard = 0; heard < count; heard++) await next.promise;
      await systemClock.sleep(AFTER_HEAD_MS);
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await connection.closed();
    },
  };
}
