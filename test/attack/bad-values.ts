/** @module Bad variants of a well-formed message, made from its descriptor: each field missing, oversize, malformed, hostile. */
import { create, type DescField, type DescMessage, ScalarType, toBinary } from "@bufbuild/protobuf";

export interface BadMessage {
  /** What kind of badness it is, the same for every field: "string: a wildcard". */
  readonly kind: string;
  /** Where it is: "links[0].left.clusters". */
  readonly path: string;
  readonly bytes: Uint8Array;
}

type Init = Readonly<Record<string, unknown>>;

interface BadInit {
  readonly kind: string;
  readonly path: string;
  readonly init: Init;
}

/** Every variant of `base` with one bad field in it; a field that `base` leaves out is not tried. */
export function badMessages(schema: DescMessage, base: Init): BadMessage[] {
  return badInits(schema, base).map(({ kind, path, init }) => ({
    kind,
    path,
    bytes: toBinary(schema, create(schema, init)),
  }));
}

/** Names of the fields that `base` leaves out, in every message inside it, too. */
export function untriedFields(schema: DescMessage, base: Init, path = ""): string[] {
  return schema.fields.flatMap((field) => {
    const value = base[field.localName];
    const name = path + field.name;
    if (value === undefined) return [name];
    const first = field.fieldKind === "list" && Array.isArray(value) ? value[0] : value;
    return field.message && !isWellKnown(field.message) && isInit(first)
      ? untriedFields(field.message, first, `${name}.`)
      : [];
  });
}

function badInits(schema: DescMessage, base: Init): BadInit[] {
  return schema.fields.flatMap((field) => {
    const value = base[field.localName];
    if (value === undefined) return [];
    return badValues(field, value).map(({ kind, path, value: bad }) => ({
      kind,
      path: `${field.name}${path}`,
      init: { ...base, [field.localName]: bad },
    }));
  });
}

interface BadValue {
  readonly kind: string;
  readonly path: string;
  readonly value: unknown;
}

function badValues(field: DescField, value: unknown): BadValue[] {
  switch (field.fieldKind) {
    case "scalar":
      return named(`${ScalarType[field.scalar].toLowerCase()}`, badScalars(field.scalar, value));
    case "enum":
      return named("enum", { missing: 0, "of the future": 99, negative: -1, "the largest": 2 ** 31 - 1 });
    case "message":
      return badMessage(field.message, value);
    case "list":
      return badList(field, value as readonly unknown[]);
    case "map":
      return named("map", badMaps());
    default:
      return field satisfies never;
  }
}

function named(what: string, values: Readonly<Record<string, unknown>>): BadValue[] {
  return Object.entries(values).map(([kind, value]) => ({ kind: `${what}: ${kind}`, path: "", value }));
}

function badScalars(scalar: ScalarType, value: unknown): Readonly<Record<string, unknown>> {
  switch (scalar) {
    case ScalarType.STRING:
      return BAD_TEXTS;
    case ScalarType.BYTES: {
      const { length } = value as Uint8Array;
      return {
        missing: new Uint8Array(),
        "one too short": new Uint8Array(Math.max(0, length - 1)),
        "one too long": new Uint8Array(length + 1),
        "200 kB": new Uint8Array(200_000),
      };
    }
    case ScalarType.UINT32:
      return { "beyond its limit": 16, "the largest": 2 ** 32 - 1 };
    default:
      return {}; // any boolean is well-formed, and any 64-bit number an order
  }
}

const BAD_TEXTS = {
  missing: "",
  "200 kB": "a".repeat(200_000),
  "a character too long": "a".repeat(257),
  "a wildcard": "*",
  "every subject": ">",
  "a subject of the store": "$KV.sw-map.cluster.eu",
  "a path": "../../etc/passwd",
  "in capitals": "EU",
  "a space": "e u",
  "a line end": "eu\n",
  "a NUL": "eu\0",
  "an escape sequence": "\u001b[2J",
  "right to left": "\u202eue",
  "another script": "\u0435u",
  "an emoji": "\u{1f512}",
  "not to be encoded": "\ufffd",
  "a prototype's name": "__proto__",
  "a shell's": "$(id)",
  "a number too large": "1e999",
  "an address that is not canonical": "::ffff:10.0.0.1/33",
} as const;

function badMessage(message: DescMessage, value: unknown): BadValue[] {
  if (message.typeName === "google.protobuf.Duration") {
    return named("duration", {
      "of no time": { seconds: 0n },
      negative: { seconds: -1n },
      "of eight days": { seconds: 691_200n },
      "for ever": { seconds: 2n ** 62n },
      "not normal": { seconds: 1n, nanos: -1 },
    });
  }
  const inner = isInit(value) ? badInits(message, value) : [];
  return [
    ...named("message", { missing: undefined, empty: {} }),
    ...inner.map(({ kind, path, init }) => ({ kind, path: `.${path}`, value: init })),
  ];
}

function badList(field: DescField & { fieldKind: "list" }, value: readonly unknown[]): BadValue[] {
  const [first] = value;
  const counts = named("list", {
    "too long": Array.from({ length: 300 }, () => first),
    "far too long": Array.from({ length: 2_000 }, () => first),
  });
  const items = badItems(field, first).map(({ kind, path, value: bad }) => ({
    kind,
    path: `[0]${path}`,
    value: [bad, ...value.slice(1)],
  }));
  return [...counts, ...items.filter(({ value: [bad] }) => bad !== undefined)];
}

function badItems(field: DescField & { fieldKind: "list" }, item: unknown): BadValue[] {
  if (field.listKind === "message") return badMessage(field.message, item);
  if (field.listKind === "scalar") return named("item", badScalars(field.scalar, item));
  return [];
}

function badMaps(): Readonly<Record<string, unknown>> {
  return {
    "too large": Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, "x"])),
    "a key missing": { "": "x" },
    "a hostile key": { [BAD_TEXTS["a subject of the store"]]: "x" },
    "a key of 200 kB": { [BAD_TEXTS["200 kB"]]: "x" },
    "a value of 200 kB": { a: BAD_TEXTS["200 kB"] },
    "a value that ends a line": { a: BAD_TEXTS["a line end"] },
    "a value with an escape sequence": { a: BAD_TEXTS["an escape sequence"] },
  };
}

function isInit(value: unknown): value is Init {
  return typeof value === "object" && value !== null && !ArrayBuffer.isView(value) && !Array.isArray(value);
}

function isWellKnown({ typeName }: DescMessage): boolean {
  return typeName.startsWith("google.protobuf.");
}

/** What is bad whatever the message is. */
export function badBytes(): readonly { readonly kind: string; readonly bytes: Uint8Array }[] {
  const nested = (tag: number) => new Uint8Array(200_000).fill(tag);
  return [
    { kind: "bytes: no message", bytes: new Uint8Array([0xff, 0xff, 0xff]) },
    { kind: "bytes: a tag that ends", bytes: new Uint8Array([0x80]) },
    { kind: "bytes: a field that ends", bytes: new Uint8Array([0x0a, 0x7f, 0x61]) },
    { kind: "bytes: a length beyond memory", bytes: new Uint8Array([0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]) },
    { kind: "bytes: a number without end", bytes: new Uint8Array([0x08, ...new Uint8Array(20).fill(0xff)]) },
    { kind: "bytes: field number 0", bytes: new Uint8Array([0x02, 0x00]) },
    { kind: "bytes: a wire type that is none", bytes: new Uint8Array([0x0f]) },
    { kind: "bytes: groups without end", bytes: nested(0x0b) },
    { kind: "bytes: ends of groups", bytes: nested(0x0c) },
    { kind: "bytes: above 4 MiB", bytes: new Uint8Array(4 * 1024 * 1024 + 1) },
  ];
}
