import { generateKeyPairSync } from "node:crypto";

export interface WireGuardKeys {
  /** Base64, as `wg` reads it. */
  readonly privateKey: string;
  readonly publicKey: string;
}

/** Makes a key pair for a test. */
export function makeWireGuardKeys(): WireGuardKeys {
  const { d = "", x = "" } = generateKeyPairSync("x25519").privateKey.export({ format: "jwk" });
  const base64 = (text: string) => Buffer.from(text, "base64url").toString("base64");
  return { privateKey: base64(d), publicKey: base64(x) };
}
