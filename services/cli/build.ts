/**
 * @module `npm run build`: makes `dist/`, a package that needs nothing but Node 24: the CLI, and with it hub and agent.
 *
 * Node does not strip types under node_modules, so what is installed has to be JavaScript. koffi looks for its native
 * library in ../../build/koffi from the file it stands in, hence lib/spanwire/ and build/koffi/.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { build } from "esbuild";

const here = import.meta.dirname;
const finished = join(here, "dist");
const modules = join(here, "../../node_modules");

// Made beside its place and moved there whole: programs may be running from the one before.
const dist = await mkdtemp(join(here, "dist-"));
const bytes = await bundle();
await copyNativeLibraries();
await cp(join(here, "bin"), join(dist, "bin"), { recursive: true });
await cp(join(here, "../../LICENSE"), join(dist, "LICENSE"));
await cp(join(here, "../../deploy/systemd"), join(dist, "deploy/systemd"), { recursive: true });
await writePackage();
const before = await mkdtemp(join(here, "dist-"));
// There may be none yet, or one that cannot be moved: a folder of an overlay's lower layer.
await rename(finished, before).catch(() => rm(finished, { recursive: true, force: true }));
await rename(dist, finished);
await rm(before, { recursive: true });
process.stdout.write(`services/cli/dist: spanwire ${(bytes / 1e6).toFixed(1)} MB\n`);

/** Returns the size of what it wrote. */
async function bundle(): Promise<number> {
  const result = await build({
    entryPoints: [join(here, "main.ts")],
    outfile: join(dist, "lib/spanwire/spanwire.mjs"),
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    // CommonJS dependencies ask for `require`, which a module does not have.
    banner: {
      js: 'import { createRequire as createRequireOfBundle } from "node:module"; const require = createRequireOfBundle(import.meta.url);',
    },
    metafile: true,
    logLevel: "warning",
  });
  return Object.values(result.metafile.outputs).reduce((sum, output) => sum + output.bytes, 0);
}

/** koffi's platform packages hold one folder for each C library: linux_x64, musl_x64. */
async function copyNativeLibraries(): Promise<void> {
  for (const platform of await readdir(join(modules, "@koromix"))) {
    const folder = join(modules, "@koromix", platform);
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      if (entry.isDirectory())
        await cp(join(folder, entry.name), join(dist, "build/koffi", entry.name), { recursive: true });
    }
  }
}

async function writePackage(): Promise<void> {
  const { version, license, description } = JSON.parse(await readFile(join(here, "../../package.json"), "utf8"));
  const manifest = {
    name: "spanwire",
    version,
    description,
    license,
    type: "module",
    engines: { node: ">=24" },
    bin: { spanwire: "bin/spanwire" },
    files: ["bin", "lib", "build", "deploy"],
  };
  await mkdir(dist, { recursive: true });
  await writeFile(join(dist, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
}
