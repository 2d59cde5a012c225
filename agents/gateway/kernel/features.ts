/** @module What a kernel can do, by its version: the wishes of a gateway depend on it, and asking means writing. */

export interface KernelFeatures {
  /** Nexthop objects: Linux 5.3, the oldest that Spanwire runs on. */
  readonly nexthopObjects: boolean;
  /** Resilient nexthop groups: Linux 5.13. Before, a group is wished without buckets. */
  readonly resilientGroups: boolean;
  /** WGALLOWEDIP_F_REMOVE_ME: Linux 6.16. Before, a prefix is removed through a peer that is not real. */
  readonly allowedIpRemoval: boolean;
}

/** `release` as `uname -r` prints it: "6.1.0-56-amd64". */
export function kernelFeatures(release: string): KernelFeatures {
  const [major = 0, minor = 0] = release.split(".").map((part) => Number.parseInt(part, 10));
  const isAtLeast = (wantedMajor: number, wantedMinor: number) =>
    major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
  return {
    nexthopObjects: isAtLeast(5, 3),
    resilientGroups: isAtLeast(5, 13),
    allowedIpRemoval: isAtLeast(6, 16),
  };
}
