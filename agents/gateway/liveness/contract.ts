/** @module The contract of probe sockets: cases that the fake and the real one must pass. They use no test library. */
import assert from "node:assert/strict";
import type { OpenProbeSocket, ProbeSocket, Source } from "./probe-socket.ts";

export interface ProbeSocketLab {
  readonly open: OpenProbeSocket;
  /** Two addresses of this host that reach each other. */
  readonly addresses: readonly [string, string];
  /** Free on both. */
  readonly port: number;
  /** Lets time pass until the condition holds. */
  until(isSo: () => boolean): Promise<void>;
}

export interface ContractCase {
  readonly name: string;
  run(lab: ProbeSocketLab): Promise<void>;
}

/** Of documentation (RFC 5737): no host has it. The fake has to be told so. */
export const ABSENT_ADDRESS = "192.0.2.254";

export const probeSocketContract: readonly ContractCase[] = [
  {
    name: "carries datagrams both ways, whole, and says where they come from",
    async run(lab) {
      const [left, right] = await openBoth(lab);
      const sizes = [1, 44, 1_400];
      for (const [n, length] of sizes.entries()) {
        await left.socket.send(right.address, new Uint8Array(length).fill(n));
        await lab.until(() => right.received.length === n + 1);
        await right.socket.send(left.address, new Uint8Array(length).fill(n));
        await lab.until(() => left.received.length === n + 1);
      }
      for (const [end, other] of [[left, right] as const, [right, left] as const]) {
        assert.deepEqual(
          end.received.map(({ from, bytes }) => [from, bytes.length, bytes[0]]),
          sizes.map((length, n) => [{ address: other.address, port: lab.port }, length, n]),
        );
      }
      await closeAll(left, right);
    },
  },
  {
    name: "cannot be opened at an address that is not there",
    async run({ open, port }) {
      await rejects(open({ address: ABSENT_ADDRESS, port, onReceived: () => {} }), "EADDRNOTAVAIL");
    },
  },
  {
    name: "has its address and port for itself, until it is closed",
    async run(lab) {
      const { addresses, open, port } = lab;
      const [address] = addresses;
      for (let n = 0; n < 3; n++) {
        const only = await openEnd(lab, address);
        await rejects(open({ address, port, onReceived: () => {} }), "EADDRINUSE");
        await closeAll(only);
      }
    },
  },
  {
    name: "sends to where nobody listens, and goes on",
    async run(lab) {
      const [address, other] = lab.addresses;
      const left = await openEnd(lab, address);
      for (let n = 0; n < 5; n++) await left.socket.send(other, new Uint8Array(44));
      const right = await openEnd(lab, other);
      await right.socket.send(address, new Uint8Array(44));
      await lab.until(() => left.received.length === 1);
      await closeAll(left, right);
    },
  },
  {
    name: "rejects what the kernel refuses to send, and goes on",
    async run(lab) {
      const [left, right] = await openBoth(lab);
      await rejects(left.socket.send(right.address, new Uint8Array(70_000)), "EMSGSIZE");
      await left.socket.send(right.address, new Uint8Array(44));
      await lab.until(() => right.received.length === 1);
      await closeAll(left, right);
    },
  },
  {
    name: "says that it is closed, and then neither sends nor receives",
    async run(lab) {
      const [left, right] = await openBoth(lab);
      await closeAll(left, left);
      await assert.rejects(left.socket.send(right.address, new Uint8Array(44)), { code: "kernel" });
      await right.socket.send(left.address, new Uint8Array(44));
      const again = await openEnd(lab, left.address);
      await right.socket.send(left.address, new Uint8Array(45));
      await lab.until(() => again.received.length > 0);
      assert.deepEqual([left.received.length, again.received.at(-1)?.bytes.length], [0, 45]);
      await closeAll(again, right);
    },
  },
];

interface End {
  readonly address: string;
  readonly socket: ProbeSocket;
  readonly received: { readonly from: Source; readonly bytes: Uint8Array }[];
}

async function openEnd({ open, port }: ProbeSocketLab, address: string): Promise<End> {
  const received: { from: Source; bytes: Uint8Array }[] = [];
  const socket = await open({ address, port, onReceived: (from, bytes) => received.push({ from, bytes }) });
  return { address, socket, received };
}

async function openBoth(lab: ProbeSocketLab): Promise<[End, End]> {
  const [left, right] = lab.addresses;
  return [await openEnd(lab, left), await openEnd(lab, right)];
}

async function closeAll(...ends: readonly End[]): Promise<void> {
  for (const { socket } of ends) {
    socket.close();
    await socket.closed;
  }
}

async function rejects(promise: Promise<unknown>, reason: string): Promise<void> {
  await assert.rejects(promise, { code: "kernel", reason });
}
