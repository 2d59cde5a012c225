/** @module What a log says of an error. */

const MAX_DEPTH = 5;

export interface SerializedError {
  readonly type: string;
  readonly message: string;
  readonly code?: string | number;
  readonly reason?: string;
  readonly stack?: string | undefined;
  readonly cause?: SerializedError;
  readonly errors?: readonly SerializedError[];
}

/**
 * Picks what helps and leaves the rest: errors of libraries carry requests and headers, and so perhaps secrets. Values
 * that are no errors become the message.
 */
export function serializeError(error: unknown, depth = 0): SerializedError {
  if (!(error instanceof Error)) return { type: typeof error, message: String(error) };
  const { name, message, stack, cause } = error;
  const isDeep = depth >= MAX_DEPTH;
  return {
    type: name,
    message,
    ...("code" in error && (typeof error.code === "string" || typeof error.code === "number") && { code: error.code }),
    ...("reason" in error && typeof error.reason === "string" && { reason: error.reason }),
    ...(cause !== undefined && !isDeep && { cause: serializeError(cause, depth + 1) }),
    ...(error instanceof AggregateError &&
      !isDeep && { errors: error.errors.map((e) => serializeError(e, depth + 1)) }),
    stack,
  };
}
