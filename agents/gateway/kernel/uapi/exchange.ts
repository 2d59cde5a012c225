/** @module One request and its answer over the Unix socket of a wireguard-go process. */
import { createConnection } from "node:net";
import { kernelError } from "../kernel-error.ts";

const TIMEOUT_MS = 5_000;
/** An answer ends with its errno line and an empty line; keys and values never contain one. */
const END = Buffer.from("\n\n");

/**
 * Sends `request` and returns the answer, both for the caller to zero; undefined when nobody listens at `path`.
 * Throws when the process stops answering.
 */
export function exchange(path: string, request: Buffer): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    const socket = createConnection(path);
    socket.setTimeout(TIMEOUT_MS, () => {
      socket.destroy(kernelError(`ask ${path}`, "ETIMEDOUT", `no answer in ${TIMEOUT_MS / 1000} s`));
    });
    socket.on("connect", () => socket.write(request));
    socket.on("data", (chunk) => {
      chunks.push(chunk);
      if (endsAnswer(chunks)) socket.end();
    });
    socket.on("error", (error) => (isNobody(error) ? resolve(undefined) : reject(error)));
    socket.on("close", () => {
      const answer = Buffer.concat(chunks);
      for (const chunk of chunks) chunk.fill(0);
      resolve(answer);
    });
  });
}

function endsAnswer(chunks: readonly Buffer[]): boolean {
  const last = chunks.at(-1);
  if (last === undefined) return false;
  const tail = last.length >= END.length ? last : Buffer.concat(chunks.slice(-2));
  return tail.subarray(-END.length).equals(END);
}

/** No socket there, or one that its process left behind. */
function isNobody(error: Error): boolean {
  return "code" in error && (error.code === "ENOENT" || error.code === "ECONNREFUSED");
}
