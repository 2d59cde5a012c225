/** @module One controller that ends with a signal as well. */

/**
 * Aborts `controller` when `signal` aborts, with its reason. As `AbortSignal.any` does; but what that makes looks at
 * every signal that it came from each time somebody asks whether it has aborted, and loops ask all the time.
 */
export function endWith(signal: AbortSignal, controller: AbortController): void {
  if (signal.aborted) controller.abort(signal.reason);
  else signal.addEventListener("abort", () => controller.abort(signal.reason), { once: true });
}
