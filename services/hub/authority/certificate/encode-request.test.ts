import "reflect-metadata"; // needed by @peculiar/x509, before it
import { Pkcs10CertificateRequest } from "@peculiar/x509";
import { expect, test } from "vitest";
import { encodeCertificateRequest } from "./encode-request.ts";
import { generateP256Key, readP256Key, spkiOf } from "./p256-key.ts";

test("another implementation reads the request, and finds it signed by its key", async () => {
  const key = readP256Key(generateP256Key());
  const request = new Pkcs10CertificateRequest(encodeCertificateRequest(key));
  expect(await request.verify()).toBe(true);
  expect(new Uint8Array(request.publicKey.rawData)).toEqual(spkiOf(key));
  expect(request.subject).toBe("");
  expect(request.extensions).toEqual([]);
});
