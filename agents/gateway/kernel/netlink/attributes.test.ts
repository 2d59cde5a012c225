import fc from "fast-check";
import { expect, test } from "vitest";
import { AttributeWriter, forEachAttribute, textAt } from "./attributes.ts";

/** Every attribute with its payload, in order. */
function list(buffer: Buffer, start = 0, end = buffer.length): [type: number, payload: Buffer][] {
  const found: [number, Buffer][] = [];
  forEachAttribute(buffer, start, end, (type, from, to) => found.push([type, Buffer.from(buffer.subarray(from, to))]));
  return found;
}

const anyAttributes = fc.array(
  fc.tuple(fc.integer({ min: 0, max: 0x3fff }), fc.uint8Array({ maxLength: 300 }).map(Buffer.from)),
);

test("what is written is read back, nested or not, however large", () => {
  fc.assert(
    fc.property(anyAttributes, anyAttributes, (outer, inner) => {
      const writer = new AttributeWriter(1);
      for (const [type, payload] of outer) writer.bytes(type, payload);
      writer.nest(7, (nested) => {
        for (const [type, payload] of inner) nested.bytes(type, payload);
      });
      const found = list(writer.view());
      expect(found.slice(0, -1)).toEqual(outer);
      const [type, payload = Buffer.alloc(0)] = found.at(-1) ?? [];
      expect(type).toBe(7);
      expect(list(payload)).toEqual(inner);
    }),
  );
});

test("writes numbers as the machine has them, pads to four bytes and ends text with a NUL", () => {
  const writer = new AttributeWriter().u8(1, 0xab).u16(2, 0x1234).u32(3, 0xdeadbeef).text(4, "sw0");
  expect(writer.view().toString("hex")).toBe(
    ["05000100ab000000", "0600020034120000", "08000300efbeadde", "0800040073773000"].join(""),
  );
  const [, payload = Buffer.alloc(0)] = list(writer.view()).at(-1) ?? [];
  expect(textAt(payload, 0, payload.length)).toBe("sw0");
});

test("stops at a torn attribute instead of reading beyond it", () => {
  const whole = Buffer.from(new AttributeWriter().u32(1, 1).u32(2, 2).view());
  for (let length = 0; length < whole.length; length++) {
    expect(list(whole.subarray(0, length)).length).toBe(Math.floor(length / 8));
  }
  whole.writeUInt16LE(3, 0); // shorter than its own header
  expect(list(whole)).toEqual([]);
});

test("wipes what was written, also from a buffer that it outgrew", () => {
  const writer = new AttributeWriter(16).bytes(1, Buffer.alloc(8, 0xff));
  const outgrown = writer.view();
  writer.bytes(2, Buffer.alloc(64, 0xff));
  const grown = writer.view();
  writer.wipe();
  expect(outgrown.every((byte) => byte === 0)).toBe(true);
  expect(grown.every((byte) => byte === 0)).toBe(true);
});
