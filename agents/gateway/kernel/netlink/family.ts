/** @module Address families by the kernel's numbers (linux/socket.h). */
import type { Family } from "@spanwire/core/address/ip";

export const FAMILY: Readonly<Record<Family, number>> = { ipv4: 2, ipv6: 10 };

export function findFamily(number: number): Family | undefined {
  if (number === FAMILY.ipv4) return "ipv4";
  return number === FAMILY.ipv6 ? "ipv6" : undefined;
}
