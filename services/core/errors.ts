/** @module The one error class of the deciding code and its closed set of codes. */

export type ErrorCode =
  | "invalid" // the input can never be accepted as it is
  | "unauthenticated"
  | "denied"
  | "conflict" // somebody else wrote first, or owns it
  | "not-found"
  | "exhausted" // a limit is reached
  | "unavailable" // the other side is away; trying again may help
  | "kernel"
  | "corrupt"; // stored bytes are not what was written

export class SpanwireError extends Error {
  override readonly name = "SpanwireError";
  readonly code: ErrorCode;
  /** Stable machine-readable cause, for example `PREFIX_OVERLAP`; crosses the wire as google.rpc.ErrorInfo.reason. */
  readonly reason: string;
  /** Whether trying again later, with nothing changed, may succeed. */
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions & { reason?: string; retryable?: boolean } = {}) {
    super(message, options);
    this.code = code;
    this.reason = options.reason ?? code.toUpperCase().replaceAll("-", "_");
    this.retryable = options.retryable ?? code === "unavailable";
  }
}
