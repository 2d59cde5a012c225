/** @module What a handler knows of its call besides the request; plain data, so that tests can call handlers directly. */

export interface CallContext {
  readonly peer: Peer;
  /** The caller's text headers in lower case, first value of each; `-bin` headers are left out. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Aborts when the caller cancels or goes away, when the deadline passes, and for streams when the server closes. */
  readonly signal: AbortSignal;
  /** Milliseconds since the Unix epoch; undefined for a stream without one. */
  readonly deadline: number | undefined;
  /** W3C trace context of the caller, as it came. */
  readonly traceparent: string | undefined;
}

export interface Peer {
  /** `address:port`, for logs and limits; proves nothing. */
  readonly address: string;
  /** The verified client certificate; undefined on a port that asks for none. */
  readonly certificate: PeerCertificate | undefined;
}

export interface PeerCertificate {
  /** The certificate's only `spiffe://` name, undefined if it has none or several. */
  readonly spiffeId: string | undefined;
  readonly der: Uint8Array;
}
