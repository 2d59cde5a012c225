/** @module The mesh as a file that people review (`spanwire apply -f`): what YAML gives -> messages, and back. */
import { create } from "@bufbuild/protobuf";
import {
  type Allow,
  AllowSchema,
  DefaultLinks,
  Direction,
  type Link,
  type LinkPolicy,
  LinkPolicySchema,
  LinkSchema,
  type PortRange,
  PortRangeSchema,
  Protocol,
  type Selector,
  SelectorSchema,
} from "@spanwire/proto/record";
import { readCidr } from "../address/cidr.ts";
import { type FileProblem, FileReader } from "./file-reader.ts";

export interface MeshFile {
  readonly clusters: readonly ClusterSpec[];
  /** Undefined leaves the policy as it is. */
  readonly policy: LinkPolicy | undefined;
}

/** What the file says of one cluster; undefined leaves it as it is. */
export interface ClusterSpec {
  readonly id: string;
  /** Canonical. */
  readonly prefixes: readonly string[] | undefined;
  readonly labels: Readonly<Record<string, string>> | undefined;
}

export type ReadMeshFile =
  | { readonly ok: true; readonly file: MeshFile }
  | { readonly ok: false; readonly problems: readonly FileProblem[] };

const DEFAULTS = { "full-mesh": DefaultLinks.FULL_MESH, none: DefaultLinks.NONE } as const;
const DIRECTIONS = {
  both: Direction.BOTH,
  "left-to-right": Direction.LEFT_TO_RIGHT,
  "right-to-left": Direction.RIGHT_TO_LEFT,
} as const;
const PROTOCOLS = { any: Protocol.ANY, tcp: Protocol.TCP, udp: Protocol.UDP, icmp: Protocol.ICMP } as const;

/** Reads the form; whether the policy makes sense for the mesh is `validatePolicy`'s question. */
export function readMeshFile(value: unknown): ReadMeshFile {
  const reader = new FileReader();
  const { clusters, links } = reader.mapping(value, "", ["clusters", "links"]);
  const file = {
    clusters: reader.list(clusters, "clusters", (item, path) => readCluster(reader, item, path)),
    policy: links === undefined ? undefined : readPolicy(reader, links),
  };
  noteDuplicates(
    reader,
    "clusters",
    "id",
    file.clusters.map(({ id }) => id),
  );
  noteDuplicates(reader, "links.rules", "name", file.policy?.links.map(({ name }) => name) ?? []);
  const { problems } = reader;
  return problems.length === 0 ? { ok: true, file } : { ok: false, problems };
}

function readCluster(reader: FileReader, value: unknown, path: string): ClusterSpec {
  const { id, prefixes, labels } = reader.mapping(value, path, ["id", "prefixes", "labels"]);
  return {
    id: reader.text(id, `${path}.id`),
    prefixes: prefixes === undefined ? undefined : readPrefixes(reader, prefixes, `${path}.prefixes`),
    labels: labels === undefined ? undefined : reader.labels(labels, `${path}.labels`),
  };
}

function readPolicy(reader: FileReader, value: unknown): LinkPolicy {
  const { default: fallback, rules } = reader.mapping(value, "links", ["default", "rules"]);
  return create(LinkPolicySchema, {
    defaultLinks: reader.choice(fallback, "links.default", DEFAULTS) ?? DefaultLinks.UNSPECIFIED,
    links: reader.list(rules, "links.rules", (item, path) => readLink(reader, item, path)),
  });
}

function readLink(reader: FileReader, value: unknown, path: string): Link {
  const link = reader.mapping(value, path, ["name", "left", "right", "allow", "transit", "deny"]);
  return create(LinkSchema, {
    name: reader.text(link["name"], `${path}.name`),
    left: readSelector(reader, link["left"], `${path}.left`),
    right: readSelector(reader, link["right"], `${path}.right`),
    allow: reader.list(link["allow"], `${path}.allow`, (item, at) => readAllow(reader, item, at)),
    transit: link["transit"] === undefined ? "" : reader.text(link["transit"], `${path}.transit`),
    deny: reader.flag(link["deny"], `${path}.deny`),
  });
}

/** Must be there: a side that was forgotten would select every cluster. */
function readSelector(reader: FileReader, value: unknown, path: string): Selector {
  if (value === undefined || value === null) reader.note(path, "is missing: {} selects every cluster");
  const { clusters, labels } = reader.mapping(value, path, ["clusters", "labels"]);
  return create(SelectorSchema, {
    clusters: reader.texts(clusters, `${path}.clusters`),
    labels: reader.labels(labels, `${path}.labels`),
  });
}

function readAllow(reader: FileReader, value: unknown, path: string): Allow {
  const allow = reader.mapping(value, path, ["direction", "protocol", "ports", "sources", "destinations"]);
  return create(AllowSchema, {
    direction: reader.choice(allow["direction"], `${path}.direction`, DIRECTIONS, Direction.BOTH) ?? Direction.BOTH,
    protocol: reader.choice(allow["protocol"], `${path}.protocol`, PROTOCOLS, Protocol.ANY) ?? Protocol.ANY,
    ports: reader.list(allow["ports"], `${path}.ports`, (item, at) => readPorts(reader, item, at)),
    sources: readPrefixes(reader, allow["sources"], `${path}.sources`),
    destinations: readPrefixes(reader, allow["destinations"], `${path}.destinations`),
  });
}

function readPorts(reader: FileReader, value: unknown, path: string): PortRange {
  const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(String(value));
  const [, from = "0", to = from] = match ?? [];
  const [first, last] = [Number(from), Number(to)];
  if (first < 1 || first > last || last > 65_535) {
    reader.note(path, `must be a port or a range like 8000-8080, not ${JSON.stringify(value)}`);
  }
  return create(PortRangeSchema, { first, last });
}

function readPrefixes(reader: FileReader, value: unknown, path: string): string[] {
  return reader.list(value, path, (item, at) => {
    const text = reader.text(item, at);
    const read = readCidr(text);
    if (!read.ok && text !== "") reader.note(at, read.problem);
    return read.ok ? read.cidr.text : text;
  });
}

function noteDuplicates(reader: FileReader, path: string, key: string, names: readonly string[]): void {
  for (const [index, name] of names.entries()) {
    const first = names.indexOf(name);
    if (first < index && name !== "")
      reader.note(`${path}[${index}].${key}`, `"${name}" is at ${path}[${first}] already`);
  }
}

/** Plain data for a YAML printer: what `readMeshFile` reads back as the same. */
export function writeMeshFile({ clusters, policy }: MeshFile): object {
  return {
    clusters: clusters.map(({ id, prefixes, labels }) => ({
      id,
      ...(prefixes && { prefixes }),
      ...(labels && { labels }),
    })),
    ...(policy && { links: { default: nameIn(DEFAULTS, policy.defaultLinks), rules: policy.links.map(writeLink) } }),
  };
}

function writeLink({ name, left, right, allow, transit, deny }: Link): object {
  return {
    name,
    left: left && writeSelector(left),
    right: right && writeSelector(right),
    ...(allow.length > 0 && { allow: allow.map(writeAllow) }),
    ...(transit !== "" && { transit }),
    ...(deny && { deny }),
  };
}

function writeSelector({ clusters, labels }: Selector): object {
  return { ...(clusters.length > 0 && { clusters }), ...(Object.keys(labels).length > 0 && { labels }) };
}

function writeAllow({ direction, protocol, ports, sources, destinations }: Allow): object {
  return {
    direction: nameIn(DIRECTIONS, direction),
    protocol: nameIn(PROTOCOLS, protocol),
    ...(ports.length > 0 && { ports: ports.map(({ first, last }) => (first === last ? first : `${first}-${last}`)) }),
    ...(sources.length > 0 && { sources }),
    ...(destinations.length > 0 && { destinations }),
  };
}

function nameIn(names: Readonly<Record<string, number>>, value: number): string | undefined {
  return Object.keys(names).find((name) => names[name] === value);
}
