/** @module RTM_*RULE (linux/fib_rules.h): "not fwmark MARK/MASK lookup TABLE". */
import type { Family } from "@spanwire/core/address/ip";
import type { Rule } from "@spanwire/core/desired/state";
import { type AttributeWriter, forEachAttribute } from "./attributes.ts";
import { FAMILY, findFamily } from "./family.ts";
import { beginMessage, FLAG, type Message } from "./message.ts";
import { OUR_PROTOCOL } from "./our-protocol.ts";

const RTM_NEWRULE = 32;
const RTM_DELRULE = 33;
const RTM_GETRULE = 34;

const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_PROTOCOL = 21;

const ACTION_TO_TABLE = 1;
const FLAG_INVERT = 0x2;

export function addRule(rule: Rule): AttributeWriter {
  return ruleMessage(RTM_NEWRULE, FLAG.ack | FLAG.create | FLAG.exclusive, rule).u8(FRA_PROTOCOL, OUR_PROTOCOL);
}

export function removeRule(rule: Rule): AttributeWriter {
  return ruleMessage(RTM_DELRULE, FLAG.ack, rule);
}

export function dumpRules(family: Family): AttributeWriter {
  return beginMessage(RTM_GETRULE, FLAG.dump, ruleHeader(family, 0, 0));
}

/** Undefined for every rule that is not of this form: those are never ours. */
export function readRule(message: Message, buffer: Buffer): Rule | undefined {
  if (message.type !== RTM_NEWRULE) return undefined;
  const family = findFamily(buffer.readUInt8(message.start));
  const selectors = buffer.readUInt8(message.start + 1) + buffer.readUInt8(message.start + 2);
  if (family === undefined || selectors !== 0) return undefined;
  if (buffer.readUInt8(message.start + 7) !== ACTION_TO_TABLE) return undefined;
  if ((buffer.readUInt32LE(message.start + 8) & FLAG_INVERT) === 0) return undefined;
  let table = buffer.readUInt8(message.start + 4);
  let priority = 0;
  let mark: number | undefined;
  let mask = 0xffff_ffff;
  let ordinary = true;
  forEachAttribute(buffer, message.start + 12, message.end, (type, start) => {
    if (type === FRA_TABLE) table = buffer.readUInt32LE(start);
    else if (type === FRA_PRIORITY) priority = buffer.readUInt32LE(start);
    else if (type === FRA_FWMARK) mark = buffer.readUInt32LE(start);
    else if (type === FRA_FWMASK) mask = buffer.readUInt32LE(start);
    else if (type !== FRA_PROTOCOL && type !== FRA_SUPPRESS_PREFIXLEN) ordinary = false; // another selector
  });
  if (!ordinary || mark === undefined) return undefined;
  return { family, priority, notFwmark: { mark, mask }, table };
}

function ruleMessage(type: number, flags: number, rule: Rule): AttributeWriter {
  const table = rule.table < 256 ? rule.table : 0;
  const writer = beginMessage(type, flags, ruleHeader(rule.family, table, FLAG_INVERT))
    .u32(FRA_FWMARK, rule.notFwmark.mark)
    .u32(FRA_FWMASK, rule.notFwmark.mask);
  if (rule.table >= 256) writer.u32(FRA_TABLE, rule.table);
  return writer.u32(FRA_PRIORITY, rule.priority);
}

/** struct fib_rule_hdr */
function ruleHeader(family: Family, table: number, flags: number): Buffer {
  const header = Buffer.alloc(12);
  header.writeUInt8(FAMILY[family], 0);
  header.writeUInt8(table, 4);
  header.writeUInt8(flags === 0 ? 0 : ACTION_TO_TABLE, 7);
  header.writeUInt32LE(flags, 8);
  return header;
}
