import { expect, test } from "vitest";
import type { AttributeWriter } from "./attributes.ts";
import { createConnection } from "./connection.ts";
import { beginMessage, FLAG, TYPE } from "./message.ts";
import type { NetlinkSocket } from "./socket.ts";

const ITEM = 100;

interface Answer {
  readonly type: number;
  readonly flags?: number;
  /** Added to the request's sequence number. */
  readonly sequenceOffset?: number;
  readonly payload?: Buffer;
}

/** A socket whose kernel answers the n-th request with the n-th script, one datagram for each inner list. */
function scripted(scripts: readonly (readonly (readonly Answer[])[])[]) {
  const queue: Buffer[] = [];
  const received: Buffer[] = [];
  let requests = 0;
  const socket: NetlinkSocket = {
    send: async (message) => {
      const sequence = Buffer.from(message).readUInt32LE(8);
      for (const datagram of scripts[requests] ?? []) {
        queue.push(Buffer.concat(datagram.map((answer) => encode(answer, sequence))));
      }
      requests += 1;
    },
    receive: async (into) => {
      const datagram = queue.shift();
      if (datagram === undefined) throw Object.assign(new Error("read EAGAIN"), { errno: -11 });
      received.push(into);
      return datagram.copy(into);
    },
    poll: () => "empty",
    [Symbol.dispose]: () => {},
  };
  return { socket, received, requests: () => requests };
}

function encode({ type, flags = 0, sequenceOffset = 0, payload = Buffer.alloc(4) }: Answer, sequence: number): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(16 + payload.length, 0);
  header.writeUInt16LE(type, 4);
  header.writeUInt16LE(flags, 6);
  header.writeUInt32LE(sequence + sequenceOffset, 8);
  return Buffer.concat([header, payload]);
}

function item(value: number): Answer {
  return { type: ITEM, payload: Buffer.of(value, 0, 0, 0) };
}

function refused(errno: number): Answer {
  const payload = Buffer.alloc(20);
  payload.writeInt32LE(-errno, 0);
  return { type: TYPE.error, flags: 0x100, payload };
}

const done: Answer = { type: TYPE.done };
const acknowledged: Answer = { type: TYPE.error, flags: 0x100, payload: Buffer.alloc(20) };

function request(): AttributeWriter {
  return beginMessage(ITEM, FLAG.ack, Buffer.alloc(4));
}

async function dumpItems(scripts: Parameters<typeof scripted>[0]) {
  const { socket, requests } = scripted(scripts);
  using connection = createConnection(socket);
  let items: number[] = [];
  const failure = await connection.dump(request, () => {
    items = [];
    return (message, buffer) => items.push(buffer.readUInt8(message.start));
  });
  return { items, failure, requests: requests() };
}

test("reads a dump over several datagrams to its end", async () => {
  expect(await dumpItems([[[item(1), item(2)], [item(3)], [done]]])).toEqual({
    items: [1, 2, 3],
    failure: undefined,
    requests: 1,
  });
});

test("reads a list again that changed while it was read", async () => {
  const interrupted = { ...item(1), flags: FLAG.dumpInterrupted };
  expect(await dumpItems([[[interrupted], [done]], [[item(4), done]]])).toEqual({
    items: [4],
    failure: undefined,
    requests: 2,
  });
});

test("gives up on a list that never stops changing", async () => {
  const interrupted = [[{ ...done, flags: FLAG.dumpInterrupted }]];
  const { failure, requests } = await dumpItems(Array.from({ length: 9 }, () => interrupted));
  expect(failure?.errno).toBe("EAGAIN");
  expect(requests).toBe(5);
});

test("a dump's own error is its outcome", async () => {
  const payload = Buffer.alloc(4);
  payload.writeInt32LE(-19, 0);
  expect((await dumpItems([[[{ ...done, payload }]]])).failure?.errno).toBe("ENODEV");
});

test("passes over answers to an earlier request", async () => {
  const late = { ...item(9), sequenceOffset: -1 };
  expect(
    (
      await dumpItems([
        [
          [late, { ...done, sequenceOffset: -1 }],
          [item(1), done],
        ],
      ])
    ).items,
  ).toEqual([1]);
});

test("says that the kernel does not answer", async () => {
  expect((await dumpItems([[[item(1)]]])).failure).toEqual({
    errno: "ETIMEDOUT",
    said: "the kernel did not answer in 5 s",
  });
});

test("answers requests in the order they were made, and wipes what was sent and received", async () => {
  const { socket, received } = scripted([[[item(1)], [acknowledged]], [[refused(17)]]]);
  using connection = createConnection(socket);
  const sent = request().bytes(3, Buffer.alloc(32, 0xff));
  const view = sent.view();
  const seen: number[] = [];
  const [first, second] = await Promise.all([
    connection.request(sent, (message, buffer) => seen.push(buffer.readUInt8(message.start))),
    connection.request(request()),
  ]);
  expect([first, second?.errno, seen]).toEqual([undefined, "EEXIST", [1]]);
  expect(view.every((byte) => byte === 0)).toBe(true);
  expect(received.every((buffer) => buffer.every((byte) => byte === 0))).toBe(true);
});
