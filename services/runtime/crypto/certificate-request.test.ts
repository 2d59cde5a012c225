import "reflect-metadata"; // needed by @peculiar/x509, before it
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import { expect, test } from "vitest";
import { encodeEd25519Request } from "./certificate-request.ts";
import { createSigner, generateSigningKey, signingKeySpki } from "./signing-key.ts";

test("another implementation reads the request, and finds it signed by its key", async () => {
  const signer = createSigner(generateSigningKey().privateKey);
  const request = new Pkcs10CertificateRequest(await encodeEd25519Request(signer));
  expect(await request.verify()).toBe(true);
  expect(new Uint8Array(request.publicKey.rawData)).toEqual(signingKeySpki(signer.publicKey));
  expect(request.subject).toBe("");
  expect(request.extensions).toEqual([]);
});
