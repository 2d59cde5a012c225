/** @module Cuts what a NATS server sends into its frames: a line, and the payload that MSG and HMSG announce. */

export interface Frame {
  readonly bytes: Buffer;
  /** Of a message; undefined in anything else. */
  readonly subject: string | undefined;
}

/** Gives whole frames as they are completed by one chunk after another. */
export function createFrameReader(): (chunk: Buffer) => Frame[] {
  let rest: Buffer = Buffer.alloc(0);
  return (chunk) => {
    rest = Buffer.concat([rest, chunk]);
    const frames: Frame[] = [];
    for (;;) {
      const end = rest.indexOf("\r\n");
      if (end < 0) return frames;
      const words = rest.subarray(0, end).toString("latin1").split(" ");
      const isMessage = words[0] === "MSG" || words[0] === "HMSG";
      const length = end + 2 + (isMessage ? Number(words.at(-1)) + 2 : 0);
      if (rest.length < length) return frames;
      frames.push({ bytes: rest.subarray(0, length), subject: isMessage ? words[1] : undefined });
      rest = rest.subarray(length);
    }
  };
}
