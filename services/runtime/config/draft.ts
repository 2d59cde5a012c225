/** @module What has been read of a configuration so far, and where each value came from. */
import { isMapping, type YamlFile } from "./yaml-file.ts";

export class Draft {
  readonly value: Record<string, unknown>;
  readonly problems: string[] = [];
  readonly #origins = new Map<string, string>();
  readonly #file: YamlFile | undefined;

  constructor(file: YamlFile | undefined) {
    this.#file = file;
    this.value = file?.value ?? {};
  }

  /** Overrules what was there, also a secret that was given in the other of its two ways. */
  set(path: readonly string[], value: unknown, origin: string): void {
    let parent = this.value;
    for (const key of path.slice(0, -1)) {
      const next = parent[key] ?? {};
      if (!isMapping(next)) return; // something else is in its place, which the schema will refuse
      parent[key] = next;
      parent = next;
    }
    const key = path.at(-1) ?? "";
    delete parent[`${key}File`];
    if (key.endsWith("File")) delete parent[key.slice(0, -"File".length)];
    parent[key] = value;
    this.#origins.set(path.join("."), origin);
  }

  /** Takes the value out; undefined where there is none. */
  take(path: readonly string[]): unknown {
    let parent: unknown = this.value;
    for (const key of path.slice(0, -1)) parent = isMapping(parent) ? parent[key] : undefined;
    if (!isMapping(parent)) return undefined;
    const key = path.at(-1) ?? "";
    const value = parent[key];
    delete parent[key];
    return value;
  }

  /** Where the value at the path, or what it is in, came from. */
  whereIs(path: readonly PropertyKey[]): string {
    for (let length = path.length; length > 0; length--) {
      const origin = this.#origins.get(path.slice(0, length).join("."));
      if (origin !== undefined) return origin;
    }
    return this.#file?.locate(path) ?? "missing";
  }
}
