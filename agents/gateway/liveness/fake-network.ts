/**
 * @module Probe sockets in memory: a network with delay, loss and cuts, each way by itself, at the pace of the test's
 * clock. Addresses exist as soon as somebody opens them, except those that were taken away.
 */
import { SpanwireError } from "@spanwire/core/errors";
import type { Clock, Random } from "@spanwire/core/time";
import type { OpenProbeSocket, ProbeSocket, ProbeSocketOptions } from "./probe-socket.ts";

export interface FakeNetworkOptions {
  readonly clock: Clock;
  /** Decides what is lost. */
  readonly random?: Random;
}

export interface Path {
  readonly delayMs: number;
  /** Of one hundred; 100 is a cut. */
  readonly lossPercent: number;
}

const PATH: Path = { delayMs: 1, lossPercent: 0 };
const MAX_BYTES = 65_507;

export class FakeNetwork {
  readonly #options: FakeNetworkOptions;
  readonly #sockets = new Map<string, Opened>();
  readonly #paths = new Map<string, Path>();
  readonly #absent = new Set<string>();
  readonly #refusing = new Map<string, string>();
  /** By the time of their arrival, so that any number of datagrams is one sleep. */
  readonly #underWay = new Map<number, (() => void)[]>();
  #path = PATH;
  /** Datagrams taken from any sender, lost ones included. */
  sent = 0;

  constructor(options: FakeNetworkOptions) {
    this.#options = options;
  }

  /** Changes every path that has no setting of its own. */
  setAll(path: Partial<Path>): void {
    this.#path = { ...this.#path, ...path };
  }

  /** Changes one direction. */
  set(from: string, to: string, path: Partial<Path>): void {
    this.#paths.set(`${from} ${to}`, { ...this.#pathOf(from, to), ...path });
  }

  /** Whether the host has the address: sockets stay open when it goes. */
  setPresent(address: string, isPresent: boolean): void {
    if (isPresent) this.#absent.delete(address);
    else this.#absent.add(address);
  }

  /** Makes sending from the address fail with this errno, until undefined. */
  refuse(address: string, errno: string | undefined): void {
    if (errno === undefined) this.#refusing.delete(address);
    else this.#refusing.set(address, errno);
  }

  /** Ends the socket at the address as a failure does. */
  fail(address: string, port: number): void {
    this.#sockets.get(`${address}:${port}`)?.socket.close();
  }

  readonly open: OpenProbeSocket = async (options) => {
    const { address, port } = options;
    const at = `${address}:${port}`;
    const doing = `open a probe socket at ${address} port ${port}`;
    if (this.#absent.has(address)) throw refused(doing, "EADDRNOTAVAIL");
    if (this.#sockets.has(at)) throw refused(doing, "EADDRINUSE");
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    const socket: ProbeSocket = {
      closed,
      close: () => {
        if (this.#sockets.get(at)?.socket === socket) this.#sockets.delete(at);
        resolve();
      },
      send: async (to, bytes) => {
        const errno = this.#sockets.get(at)?.socket === socket ? this.#objection(address, bytes) : "ERR_CLOSED";
        if (errno !== undefined) throw refused(`probe ${to} from ${address}`, errno);
        this.#carry(options, to, bytes.slice());
      },
    };
    this.#sockets.set(at, { ...options, socket });
    return socket;
  };

  #objection(address: string, bytes: Uint8Array): string | undefined {
    if (this.#absent.has(address)) return "EINVAL";
    return bytes.byteLength > MAX_BYTES ? "EMSGSIZE" : this.#refusing.get(address);
  }

  #carry({ address, port }: ProbeSocketOptions, to: string, bytes: Uint8Array): void {
    const { clock, random = () => 0.5 } = this.#options;
    const { delayMs, lossPercent } = this.#pathOf(address, to);
    this.sent++;
    if (random() * 100 < lossPercent) return;
    const atMs = clock.elapsed() + delayMs;
    const arrive = () => {
      if (!this.#absent.has(to)) this.#sockets.get(`${to}:${port}`)?.onReceived({ address, port }, bytes);
    };
    const others = this.#underWay.get(atMs);
    if (others !== undefined) {
      others.push(arrive);
      return;
    }
    const arrivals = [arrive];
    this.#underWay.set(atMs, arrivals);
    void clock.sleep(delayMs).then(() => {
      this.#underWay.delete(atMs);
      for (const each of arrivals) each();
    });
  }

  #pathOf(from: string, to: string): Path {
    return this.#paths.get(`${from} ${to}`) ?? this.#path;
  }
}

interface Opened extends ProbeSocketOptions {
  readonly socket: ProbeSocket;
}

function refused(doing: string, errno: string): SpanwireError {
  return new SpanwireError("kernel", `${doing}: ${errno}`, { reason: errno, retryable: true });
}
