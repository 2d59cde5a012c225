/** @module kube-apiserver and etcd, built from source: nobody publishes them where a package manager finds them. */
import { join } from "node:path";
import { cached } from "./cached.ts";
import { type LabConfig, readLabConfig } from "./config.ts";
import { execute, lastLines } from "./execute.ts";
import { type GoProgram, goBuild, recipeOf } from "./go-build.ts";
import { goPath } from "./go-toolchain.ts";
import { type Progress, progressToStderr } from "./progress.ts";
import { Unavailable } from "./unavailable.ts";

export const KUBERNETES_VERSION = "1.36.3";

const VERSION_FLAGS = `-s -w -X k8s.io/component-base/version.gitVersion=v${KUBERNETES_VERSION}`;
const ETCD: GoProgram = { module: "etcd", package: "go.etcd.io/etcd/server/v3", ldflags: "-s -w", name: "etcd" };
const API_SERVER: GoProgram = {
  module: "kubernetes",
  package: "k8s.io/kubernetes/cmd/kube-apiserver",
  ldflags: VERSION_FLAGS,
  name: "kube-apiserver",
};

export interface KubernetesPaths {
  readonly apiServer: string;
  readonly etcd: string;
}

/**
 * Returns the paths of both, building them first when they are not there: 3 to 6 minutes of two idle processors, once.
 * `KUBEBUILDER_ASSETS` names a directory to take them from instead. Throws `Unavailable` when it cannot.
 */
export async function kubernetesPaths(
  config: LabConfig = readLabConfig(),
  progress: Progress = progressToStderr(),
): Promise<KubernetesPaths> {
  const programs = [ETCD, API_SERVER];
  const directory =
    config.kubebuilderAssets ??
    (await cached({ name: "kubernetes", recipe: await recipeOf(programs), build: buildAll }, config, progress));
  return { apiServer: join(directory, API_SERVER.name), etcd: join(directory, ETCD.name) };

  async function buildAll(directory: string): Promise<void> {
    const go = await goPath(config, progress);
    for (const program of programs) {
      progress(`${program.name}: go build (etcd half a minute, kube-apiserver 3 to 6 on two idle processors)`);
      await goBuild(program, { go, directory, progress });
    }
    const { stdout, stderr } = await execute([join(directory, API_SERVER.name), "--version"]);
    if (stdout.includes(KUBERNETES_VERSION)) return;
    throw new Unavailable(`kube-apiserver ${KUBERNETES_VERSION}: reports ${stdout.trim() || lastLines(stderr, 1)}`);
  }
}
