/** @module Settings from environment variables. */
import { parse } from "yaml";
import type { Draft } from "./draft.ts";
import type { Setting } from "./settings.ts";

export interface Environment {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** `SPANWIRE_HUB_`: each setting has a variable under it, and a variable under it that is no setting is an error. */
  readonly envPrefix: string;
}

/** Puts what the variables say into the draft; an empty variable says nothing. */
export function readEnvironment(draft: Draft, settings: readonly Setting[], { env, envPrefix }: Environment): void {
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith(envPrefix) || text === undefined || text === "" || isFromKubernetes(name, text)) continue;
    const key = name.slice(envPrefix.length);
    const setting = settings.find((candidate) => candidate.env === key);
    const secret = settings.find((candidate) => candidate.kind === "secret" && `${candidate.env}_FILE` === key);
    if (setting !== undefined) draft.set(setting.path, fromText(text, setting.kind), name);
    else if (secret !== undefined) draft.set([...secret.path.slice(0, -1), `${secret.path.at(-1)}File`], text, name);
    else draft.problems.push(`${name}: no setting has this name`);
  }
}

/** Kubernetes adds variables for each Service, and one may be called as we are: `SPANWIRE_HUB_PORT=tcp://10.0.0.1:8443`. */
function isFromKubernetes(name: string, text: string): boolean {
  return (
    /_SERVICE_(HOST|PORT)(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?$/.test(name) ||
    /^(tcp|udp|sctp):\/\//.test(text)
  );
}

/** Text stays text; a list may be written with commas; what is neither is read as YAML reads it. */
function fromText(text: string, kind: Setting["kind"]): unknown {
  if (kind === "text" || kind === "secret") return text;
  if (kind === "list" && !text.startsWith("[")) return text.split(",").map((item) => item.trim());
  try {
    return parse(text);
  } catch {
    return text; // which the schema then refuses
  }
}
