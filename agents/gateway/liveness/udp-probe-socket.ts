/** @module The real probe socket. */
import { type BindOptions, createSocket, type Socket } from "node:dgram";
import { SpanwireError } from "@spanwire/core/errors";
import type { ProbeSocket, ProbeSocketOptions } from "./probe-socket.ts";

/** Room for what comes while this process does something else; the kernel takes as much of it as it allows. */
const RECEIVE_BYTES = 1 << 20;

/** `fd` is a socket that is bound already, in another network namespace perhaps; closing the probe socket closes it. */
export async function openUdpProbeSocket(
  { address, port, onReceived }: ProbeSocketOptions,
  fd?: number,
): Promise<ProbeSocket> {
  const socket = createSocket({ type: "udp4", recvBufferSize: RECEIVE_BYTES });
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  let isOpen = true;
  const close = () => {
    if (isOpen) socket.close(); // a second time it would throw
    isOpen = false;
  };
  socket.on("close", resolve);
  socket.on("message", (bytes, source) => onReceived({ address: source.address, port: source.port }, bytes));
  await bind(socket, fd === undefined ? { address, port } : { fd }, `open a probe socket at ${address} port ${port}`);
  socket.on("error", close);
  return {
    closed,
    close,
    send: (to, bytes) =>
      new Promise((sent, reject) => {
        const done = (cause: unknown) => (cause ? reject(refused(`probe ${to} from ${address}`, cause)) : sent());
        try {
          socket.send(bytes, port, to, done);
        } catch (cause) {
          done(cause); // closed
        }
      }),
  };
}

function bind(socket: Socket, where: BindOptions, doing: string): Promise<void> {
  return new Promise((bound, reject) => {
    const fail = (cause: Error) => {
      socket.close();
      reject(refused(doing, cause));
    };
    socket.once("error", fail);
    socket.bind(where, () => {
      socket.off("error", fail);
      bound();
    });
  });
}

function refused(doing: string, cause: unknown): SpanwireError {
  const reason = cause instanceof Error && "code" in cause ? String(cause.code) : "UNKNOWN";
  const said = cause instanceof Error ? cause.message : String(cause);
  return new SpanwireError("kernel", `${doing}: ${said}`, { reason, retryable: true, cause });
}
