/** @module What is wrong with a link policy, before anybody obeys it. */
import {
  type Admission,
  type Allow,
  DefaultLinks,
  Direction,
  type Link,
  type LinkPolicy,
  type Mesh,
  Protocol,
} from "@spanwire/proto/record";
import { type Cidr, overlaps, readCidr } from "../address/cidr.ts";
import { parseOverlay } from "../address/overlay.ts";
import { ownedRanges } from "../address/ranges.ts";
import { isDirect, judgePair, matchesSelector, type Party } from "./pair.ts";

export interface PolicyProblem {
  /** An error makes the policy impossible; a warning is for a person to read. */
  readonly severity: "error" | "warning";
  /** "links[2].allow[0].ports". */
  readonly path: string;
  readonly message: string;
}

/** A cluster as policies see it, with what it is admitted for: its prefixes and its overlay block. */
export interface PolicyMember extends Party {
  readonly owned: readonly Cidr[];
}

/** Reads the members of a mesh, by id. */
export function policyMembers(mesh: Mesh, admissions: Iterable<Admission>): readonly PolicyMember[] {
  const overlay = parseOverlay(mesh);
  const members = [...admissions].map(({ clusterId, labels, overlayIndex, prefixes }) => {
    const readable = prefixes.map(readCidr).flatMap((read) => (read.ok ? [read.cidr] : []));
    return { id: clusterId, labels, owned: ownedRanges(overlay, { prefixes: readable, block: overlayIndex }) };
  });
  return members.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Lists everything that is wrong, in the order of the policy. What names a cluster that does not exist yet is legal. */
export function validatePolicy(policy: LinkPolicy, members: readonly PolicyMember[]): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  if (policy.defaultLinks !== DefaultLinks.FULL_MESH && policy.defaultLinks !== DefaultLinks.NONE) {
    problems.push(error("default_links", "must be full-mesh or none"));
  }
  const names = new Set<string>();
  for (const [index, link] of policy.links.entries()) {
    const path = `links[${index}]`;
    if (names.has(link.name)) problems.push(error(`${path}.name`, `another link is named "${link.name}"`));
    names.add(link.name);
    problems.push(...sideProblems(link, path, members), ...transitProblems(policy, link, path, members));
    for (const [at, allow] of link.allow.entries()) {
      problems.push(
        ...allowProblems(allow, `${path}.allow[${at}]`),
        ...reachProblems(link, allow, `${path}.allow[${at}]`, members),
      );
    }
    if (link.deny && (link.allow.length > 0 || link.transit !== "")) {
      problems.push(error(`${path}.deny`, "a denied pair has no link: leave out allow and transit"));
    }
  }
  return problems;
}

function sideProblems(link: Link, path: string, members: readonly PolicyMember[]): readonly PolicyProblem[] {
  return (["left", "right"] as const).flatMap((side) => {
    const selector = link[side];
    if (selector === undefined) return [error(`${path}.${side}`, "is missing: {} selects every cluster")];
    const unknown = selector.clusters.filter((id) => !members.some((member) => member.id === id));
    const named = unknown.map((id) => warning(`${path}.${side}.clusters`, `no cluster is named "${id}", yet`));
    const isEmpty = Object.keys(selector.labels).length > 0 && !members.some((each) => matchesSelector(selector, each));
    return isEmpty ? [...named, warning(`${path}.${side}.labels`, "no cluster carries these labels, yet")] : named;
  });
}

function transitProblems(
  policy: LinkPolicy,
  link: Link,
  path: string,
  members: readonly PolicyMember[],
): readonly PolicyProblem[] {
  const { transit, left, right } = link;
  if (transit === "" || left === undefined || right === undefined) return [];
  const at = `${path}.transit`;
  if (left.clusters.includes(transit) || right.clusters.includes(transit)) {
    return [error(at, `"${transit}" is an end of the link: it cannot carry its own traffic`)];
  }
  const carrier = members.find(({ id }) => id === transit);
  if (carrier === undefined) return [warning(at, `no cluster is named "${transit}", yet: its pairs have no path`)];
  const apart = members.find((member) => {
    if (member.id === transit || ![left, right].some((side) => matchesSelector(side, member))) return false;
    return !isDirect(judgePair(policy, carrier, member));
  });
  if (apart === undefined) return [];
  return [warning(at, `"${transit}" is not linked directly to "${apart.id}": what it would carry has no path`)];
}

function allowProblems({ direction, protocol, ports, ...allow }: Allow, path: string): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = [];
  if (!DIRECTIONS.includes(direction))
    problems.push(error(`${path}.direction`, "must be both, left-to-right or right-to-left"));
  if (!PROTOCOLS.includes(protocol)) problems.push(error(`${path}.protocol`, "must be any, tcp, udp or icmp"));
  if (ports.length > 0 && protocol !== Protocol.TCP && protocol !== Protocol.UDP) {
    problems.push(error(`${path}.ports`, "ports need the protocol tcp or udp"));
  }
  for (const [index, { first, last }] of ports.entries()) {
    if (first >= 1 && first <= last && last <= 65_535) continue;
    problems.push(error(`${path}.ports[${index}]`, `${first}-${last} is not a range of ports from 1 to 65535`));
  }
  for (const side of ["sources", "destinations"] as const) {
    for (const [index, text] of allow[side].entries()) {
      const read = readCidr(text);
      if (!read.ok) problems.push(error(`${path}.${side}[${index}]`, read.problem));
    }
  }
  return problems;
}

const DIRECTIONS: readonly Direction[] = [Direction.BOTH, Direction.LEFT_TO_RIGHT, Direction.RIGHT_TO_LEFT];
const PROTOCOLS: readonly Protocol[] = [Protocol.ANY, Protocol.TCP, Protocol.UDP, Protocol.ICMP];

/** Prefixes that no cluster of the link announces let nothing cross: probably a slip. */
function reachProblems(
  { left, right }: Link,
  allow: Allow,
  path: string,
  members: readonly PolicyMember[],
): readonly PolicyProblem[] {
  const ends = members.filter((member) =>
    [left, right].some((side) => side !== undefined && matchesSelector(side, member)),
  );
  const owned = ends.flatMap((end) => end.owned);
  return (["sources", "destinations"] as const).flatMap((side) =>
    allow[side].flatMap((text, index) => {
      const read = readCidr(text);
      if (!read.ok || ends.length === 0 || owned.some((prefix) => overlaps(prefix, read.cidr))) return [];
      return [
        warning(
          `${path}.${side}[${index}]`,
          `no cluster of the link is admitted for anything in ${text}: nothing crosses`,
        ),
      ];
    }),
  );
}

function error(path: string, message: string): PolicyProblem {
  return { severity: "error", path, message };
}

function warning(path: string, message: string): PolicyProblem {
  return { severity: "warning", path, message };
}
