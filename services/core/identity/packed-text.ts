/**
 * @module Bytes as one text that survives a shell, a URL and a double click: a mark, then base64url. Lengths inside and
 * the exact end are what finds a text that was cut in copying.
 */
import { base64Decode, base64Encode } from "@bufbuild/protobuf/wire";
import { SpanwireError } from "../errors.ts";

export interface PackedForm {
  /** What every such text begins with. */
  readonly mark: string;
  /** What it is called in messages. */
  readonly name: string;
  /** The command that prints it. */
  readonly printedBy: string;
  /** Of the error for what cannot be read. */
  readonly reason: string;
}

export interface PackedReader {
  take(length: number): Uint8Array;
  takeText(length: number): string;
  /** A text that its length comes before. */
  takeCounted(): string;
  /** Throws when something is left. */
  end(): void;
}

export function packText({ mark }: PackedForm, parts: readonly Uint8Array[]): Uint8Array {
  return ascii(mark + base64Encode(Uint8Array.from(parts.flatMap((part) => [...part])), "url"));
}

/** Opens a text; white space around it does not matter. It and its reader throw `invalid`, never repeating the text. */
export function openPacked(form: PackedForm, text: string): PackedReader {
  const trimmed = text.trim();
  if (!trimmed.startsWith(form.mark)) throw malformed(form, `it does not begin with "${form.mark}"`);
  const bytes = decode(form, trimmed.slice(form.mark.length));
  let offset = 0;
  const take = (length: number): Uint8Array => {
    if (offset + length > bytes.length) throw malformed(form, CUT);
    offset += length;
    return bytes.slice(offset - length, offset);
  };
  const takeText = (length: number) => String.fromCharCode(...take(length));
  return {
    take,
    takeText,
    takeCounted: () => takeText(take(1)[0] ?? 0),
    end() {
      if (offset < bytes.length) throw malformed(form, "something follows its end");
    },
  };
}

const CUT = "it was cut in copying";

function decode(form: PackedForm, text: string): Uint8Array {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) throw malformed(form, "it holds characters that none has");
  try {
    return base64Decode(text);
  } catch {
    throw malformed(form, CUT);
  }
}

/** The error of a text that cannot be read. */
export function malformed({ name, printedBy, reason }: PackedForm, why: string): SpanwireError {
  const message = `${name}: ${why}; copy the whole text that "${printedBy}" printed`;
  return new SpanwireError("invalid", message, { reason });
}

export function counted(text: string): Uint8Array {
  return Uint8Array.of(text.length, ...ascii(text));
}

export function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
