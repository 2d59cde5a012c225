/** @module What the lab takes from the environment: the only place in `test/lab` that reads it. */
import { homedir } from "node:os";
import { join } from "node:path";

export interface LabConfig {
  /** Holds one directory for each component and recipe; safe to delete. */
  readonly cacheDirectory: string;
  /** In CI a tier that cannot run fails instead of being skipped. */
  readonly ci: boolean;
  /** Whether system packages may be installed (`SPANWIRE_NO_INSTALL=1` refuses). */
  readonly mayInstall: boolean;
  /** `SPANWIRE_LAB_ACCEL=tcg|kvm` overrides what the kernel VM found to work. */
  readonly accelerator: "tcg" | "kvm" | undefined;
  /** A directory with `etcd` and `kube-apiserver` to use instead of the lab's (`KUBEBUILDER_ASSETS`). */
  readonly kubebuilderAssets?: string | undefined;
  /** What a command inside the kernel VM inherits: HOME, CI, TERM and every SPANWIRE_ variable. */
  readonly inherited: Readonly<Record<string, string>>;
}

const INHERITED = /^(HOME|CI|TERM|XDG_CACHE_HOME|SPANWIRE_\w+)$/;

export function readLabConfig(environment: NodeJS.ProcessEnv = process.env): LabConfig {
  const cache = environment["XDG_CACHE_HOME"] || join(homedir(), ".cache");
  const accelerator = environment["SPANWIRE_LAB_ACCEL"];
  if (accelerator !== undefined && accelerator !== "tcg" && accelerator !== "kvm") {
    throw new Error(`SPANWIRE_LAB_ACCEL=${accelerator}: must be tcg or kvm`);
  }
  return {
    cacheDirectory: join(cache, "spanwire-lab"),
    ci: environment["CI"] === "true" || environment["CI"] === "1",
    mayInstall: environment["SPANWIRE_NO_INSTALL"] !== "1",
    accelerator,
    kubebuilderAssets: environment["KUBEBUILDER_ASSETS"] || undefined,
    inherited: Object.fromEntries(
      Object.entries(environment).flatMap(([name, value]) =>
        value !== undefined && INHERITED.test(name) ? [[name, value]] : [],
      ),
    ),
  };
}
