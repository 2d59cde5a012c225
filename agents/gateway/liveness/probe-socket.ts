/** @module The port that probes pass through: datagrams from one of our plane addresses to the others'. */

export interface ProbeSocket {
  /**
   * Resolves when the kernel has taken the datagram, which does not say that it arrives. Rejects with a `SpanwireError`
   * "kernel", the errno's name as reason: nothing else is wrong with the socket then.
   */
  send(to: string, bytes: Uint8Array): Promise<void>;
  /** Resolves when the socket is closed, by `close` or by a failure. */
  readonly closed: Promise<void>;
  /** Idempotent. */
  close(): void;
}

export interface Source {
  readonly address: string;
  readonly port: number;
}

export interface ProbeSocketOptions {
  /** Ours. */
  readonly address: string;
  /** Ours and the others'. */
  readonly port: number;
  /** Told of whatever comes, from whomever, until the socket is closed. */
  readonly onReceived: (from: Source, bytes: Uint8Array) => void;
}

/** Rejects with a `SpanwireError` "kernel" where the address is not there (yet), or is taken. */
export type OpenProbeSocket = (options: ProbeSocketOptions) => Promise<ProbeSocket>;
