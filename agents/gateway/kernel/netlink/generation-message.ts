/** @module NFT_MSG_GETGEN (linux/netfilter/nf_tables.h): the number of the namespace's ruleset, another after each commit. */
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";

const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWGEN = 15;
const NFT_MSG_GETGEN = 16;
const NFTA_GEN_ID = 1;
const HEADER_BYTES = 4;

export function getGeneration(): AttributeWriter {
  return beginMessage((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETGEN, FLAG.ack, Buffer.alloc(HEADER_BYTES));
}

export function readGeneration(message: Message, buffer: Buffer): number | undefined {
  if (message.type !== ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWGEN)) return undefined;
  let generation: number | undefined;
  forEachAttribute(buffer, message.start + HEADER_BYTES, message.end, (type, start) => {
    if (type === NFTA_GEN_ID) generation = buffer.readUInt32BE(start);
  });
  return generation;
}
