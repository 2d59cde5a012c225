/** @module A setting that is a secret. */
import { Secret } from "@spanwire/core/identity/secret";
import { z } from "zod";

/**
 * The schema of a secret setting. Beside its own name, such a setting may be given as the path of a file that holds it:
 * `token` as `tokenFile`, `…_TOKEN` as `…_TOKEN_FILE`.
 */
export const secretText = z
  .string()
  .min(1)
  .transform((text) => new Secret(Buffer.from(text)));
