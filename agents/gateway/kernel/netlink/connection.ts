/** @module Requests over one netlink socket: one at a time, each answered before the next is sent. */
import { createInTurn } from "@spanwire/runtime/loop/in-turn";
import { kernelError } from "../kernel-error.ts";
import type { AttributeWriter } from "./attributes.ts";
import { type Failure, failure, readFailure } from "./failure.ts";
import { endMessage, FLAG, type Message, messagesIn, TYPE } from "./message.ts";
import { type NetlinkSocket, openSocket, type SocketOptions } from "./socket.ts";

/** The kernel fills datagrams of up to 32 KiB when it has seen a read as large as this. */
const RECEIVE_BYTES = 65_536;
/** A dump during which something changed is read again, so often. */
const DUMP_ATTEMPTS = 5;

export type Visit = (message: Message, buffer: Buffer) => void;

export interface NetlinkConnection extends Disposable {
  /**
   * Sends one request, passes the messages of its answer to `visit`, and returns why the kernel refused, if it did.
   * The request and everything received are zeroed before it returns: both may hold keys.
   */
  request(writer: AttributeWriter, visit?: Visit): Promise<Failure | undefined>;
  /**
   * Reads a list. `begin` is called before each attempt: a list that changed while it was read is read again from the
   * start.
   */
  dump(request: () => AttributeWriter, begin: () => Visit): Promise<Failure | undefined>;
}

export function openConnection(options: SocketOptions): NetlinkConnection {
  return createConnection(openSocket(options));
}

/** Takes over the socket: nobody else may use or close it. */
export function createConnection(socket: NetlinkSocket): NetlinkConnection {
  const buffer = Buffer.alloc(RECEIVE_BYTES);
  let sequence = 0;
  const inTurn = createInTurn();

  async function exchange(writer: AttributeWriter, visit: Visit | undefined): Promise<Outcome> {
    sequence = (sequence + 1) >>> 0;
    try {
      await socket.send(endMessage(writer, sequence));
      return await receiveAnswer(socket, buffer, sequence, visit);
    } catch (error) {
      return { failure: toFailure(error), interrupted: false };
    } finally {
      writer.wipe();
    }
  }

  return {
    request: (writer, visit) => inTurn(async () => (await exchange(writer, visit)).failure),
    dump: (request, begin) =>
      inTurn(async () => {
        for (let attempt = 1; attempt <= DUMP_ATTEMPTS; attempt++) {
          const outcome = await exchange(request(), begin());
          if (!outcome.interrupted) return outcome.failure;
        }
        return { errno: "EAGAIN", said: `the list changed during each of ${DUMP_ATTEMPTS} attempts to read it` };
      }),
    [Symbol.dispose]: () => socket[Symbol.dispose](),
  };
}

interface Outcome {
  readonly failure: Failure | undefined;
  readonly interrupted: boolean;
}

/** Reads datagrams until the acknowledgement, the error or the end of the dump; answers to older requests are skipped. */
async function receiveAnswer(
  socket: NetlinkSocket,
  buffer: Buffer,
  sequence: number,
  visit: Visit | undefined,
): Promise<Outcome> {
  let interrupted = false;
  for (;;) {
    const length = await socket.receive(buffer);
    try {
      for (const message of messagesIn(buffer, length)) {
        if (message.sequence !== sequence) continue;
        interrupted ||= (message.flags & FLAG.dumpInterrupted) !== 0;
        if (message.type === TYPE.error || message.type === TYPE.done) {
          return { failure: readFailure(buffer, message), interrupted };
        }
        visit?.(message, buffer);
      }
    } finally {
      buffer.fill(0, 0, length);
    }
  }
}

/** A system call's own error, of send or receive; anything else is a bug and goes on. */
function toFailure(error: unknown): Failure {
  if (error instanceof Error && "errno" in error && typeof error.errno === "number") {
    const reason = failure(error.errno);
    if (reason.errno === "EAGAIN") return { errno: "ETIMEDOUT", said: "the kernel did not answer in 5 s" };
    return reason;
  }
  throw error;
}

/** Throws what a read of the kernel failed with. */
export function throwFailure(doing: string, reason: Failure | undefined): void {
  if (reason !== undefined) throw kernelError(doing, reason.errno, reason.said);
}
