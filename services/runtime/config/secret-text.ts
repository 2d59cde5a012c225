/** @module A setting that is a secret. */
import { Secret } from "@spanwire/core/identity/secret";
import { z } from "zod";

const text = () =>
  z
    .string()
    .min(1)
    .transform((value) => new Secret(Buffer.from(value)));

/**
 * The schema of a secret setting. Beside its own name, such a setting may be given as the path of a file that holds it:
 * `token` as `tokenFile`, `…_TOKEN` as `…_TOKEN_FILE`.
 */
export const secretText = text();

/** The same for a secret that is used once: when its file is no longer there, the setting counts as not given. */
export const oneTimeSecretText = text();
