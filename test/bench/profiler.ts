/** @module A CPU profile of this process for a while: where the time goes when a target is missed. */
import { writeFile } from "node:fs/promises";
import { Session } from "node:inspector/promises";

const SAMPLE_US = 400;

/** Starts at once; the function that is returned ends it and writes the file, which Chromium's developer tools open. */
export async function startProfile(): Promise<(file: string) => Promise<void>> {
  const session = new Session();
  session.connect();
  await session.post("Profiler.enable");
  await session.post("Profiler.setSamplingInterval", { interval: SAMPLE_US });
  await session.post("Profiler.start");
  return async (file) => {
    const { profile } = await session.post("Profiler.stop");
    session.disconnect();
    await writeFile(file, JSON.stringify(profile));
  };
}
