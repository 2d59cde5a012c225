/** @module The service of the control of `register`, which gives back the bytes that it gets. */
import type { ServiceDefinition } from "@grpc/grpc-js";

function same(bytes: Buffer): Buffer {
  return bytes;
}

export const ECHO = {
  echo: {
    path: "/spanwire.bench.Echo/Echo",
    requestStream: false,
    responseStream: false,
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  },
} satisfies ServiceDefinition;
