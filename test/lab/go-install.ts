import { execute, lastLines } from "./execute.ts";

/** Builds a Go program into `directory`; returns why it could not, or undefined. */
export async function goInstall(moduleAtVersion: string, directory: string): Promise<string | undefined> {
  const env = { GOBIN: directory, CGO_ENABLED: "0", GOFLAGS: "-trimpath" };
  // The installer of Go puts it where a login shell finds it, but not always a test runner.
  for (const go of ["go", "/usr/local/go/bin/go"]) {
    const { status, stderr } = await execute([go, "install", moduleAtVersion], { env });
    if (status === 0) return undefined;
    if (status !== 127) return `go install: ${lastLines(stderr, 1)}`;
  }
  return "no Go";
}
