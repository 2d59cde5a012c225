/** @module Reads plain data of unknown shape (what a YAML parser gives) and collects what is wrong with it, by path. */

export interface FileProblem {
  /** "links.rules[0].allow[1].ports[0]"; empty for the file itself. */
  readonly path: string;
  readonly message: string;
}

/**
 * Each method gives something of the asked type whatever it finds, and notes a problem where that is not what was
 * there, so that one reading tells everything that is wrong.
 */
export class FileReader {
  readonly #problems: FileProblem[] = [];

  get problems(): readonly FileProblem[] {
    return this.#problems;
  }

  note(path: string, message: string): void {
    this.#problems.push({ path, message });
  }

  /** A mapping with no other keys than these. Absent is an empty one. */
  mapping(value: unknown, path: string, keys: readonly string[]): Readonly<Record<string, unknown>> {
    const entries = this.#entries(value, path);
    for (const [key] of entries) {
      if (!keys.includes(key)) this.note(join(path, key), `is not known here; known are ${keys.join(", ")}`);
    }
    return Object.fromEntries(entries);
  }

  list<T>(value: unknown, path: string, readItem: (item: unknown, path: string) => T): T[] {
    if (value === undefined || value === null) return [];
    if (Array.isArray(value)) return value.map((item: unknown, index) => readItem(item, `${path}[${index}]`));
    this.note(path, `must be a list, not ${kindOf(value)}`);
    return [];
  }

  text(value: unknown, path: string): string {
    if (typeof value === "string") return value;
    this.note(path, value === undefined ? "is missing" : `must be text, not ${kindOf(value)}`);
    return "";
  }

  texts(value: unknown, path: string): string[] {
    return this.list(value, path, (item, at) => this.text(item, at));
  }

  /** A mapping from text to text. */
  labels(value: unknown, path: string): Record<string, string> {
    return Object.fromEntries(this.#entries(value, path).map(([key, item]) => [key, this.text(item, join(path, key))]));
  }

  flag(value: unknown, path: string): boolean {
    if (value === undefined || typeof value === "boolean") return value ?? false;
    this.note(path, `must be true or false, not ${kindOf(value)}`);
    return false;
  }

  /** One of the named choices; absent is the fallback, which is missing when there is none. */
  choice<T>(value: unknown, path: string, choices: Readonly<Record<string, T>>, fallback?: T): T | undefined {
    if (value === undefined && fallback !== undefined) return fallback;
    if (typeof value === "string" && Object.hasOwn(choices, value)) return choices[value];
    this.note(path, `must be ${Object.keys(choices).join(" or ")}, not ${kindOf(value)}`);
    return fallback;
  }

  #entries(value: unknown, path: string): [string, unknown][] {
    if (value === undefined || value === null) return [];
    if (typeof value === "object" && !Array.isArray(value)) return Object.entries(value);
    this.note(path, `must be a mapping, not ${kindOf(value)}`);
    return [];
  }
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}

function kindOf(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  return typeof value === "object" ? "a mapping" : JSON.stringify(value);
}
