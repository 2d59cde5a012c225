/** @module NFT_MSG_GETOBJ (linux/netfilter/nf_tables.h): one named counter of a table. */
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";

const NFNL_SUBSYS_NFTABLES = 10;
const NFT_MSG_NEWOBJ = 18;
const NFT_MSG_GETOBJ = 19;
const NFPROTO_INET = 1;
const NFTA_OBJ_TABLE = 1;
const NFTA_OBJ_NAME = 2;
const NFTA_OBJ_TYPE = 3;
const NFTA_OBJ_DATA = 4;
const NFT_OBJECT_COUNTER = Uint8Array.of(0, 0, 0, 1);
const NFTA_COUNTER_PACKETS = 2;
/** struct nfgenmsg */
const HEADER_BYTES = 4;

export function getCounter(table: string, name: string): AttributeWriter {
  const nfgenmsg = Uint8Array.of(NFPROTO_INET, 0, 0, 0);
  return beginMessage((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_GETOBJ, FLAG.ack, nfgenmsg)
    .text(NFTA_OBJ_TABLE, table)
    .text(NFTA_OBJ_NAME, name)
    .bytes(NFTA_OBJ_TYPE, NFT_OBJECT_COUNTER);
}

/** Undefined for any other message. */
export function readPackets(message: Message, buffer: Buffer): number | undefined {
  if (message.type !== ((NFNL_SUBSYS_NFTABLES << 8) | NFT_MSG_NEWOBJ)) return undefined;
  let packets: number | undefined;
  forEachAttribute(buffer, message.start + HEADER_BYTES, message.end, (type, from, to) => {
    if (type !== NFTA_OBJ_DATA) return;
    forEachAttribute(buffer, from, to, (inner, start) => {
      if (inner === NFTA_COUNTER_PACKETS) packets = Number(buffer.readBigUInt64BE(start));
    });
  });
  return packets;
}
