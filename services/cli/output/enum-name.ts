/** @module Names of enum values as people read them. */
import type { DescEnum } from "@bufbuild/protobuf";

/** "on-premises" for CLUSTER_KIND_ON_PREMISES; the number itself for a value of a later version. */
export function enumName(schema: DescEnum, value: number): string {
  const name = schema.value[value]?.name;
  if (name === undefined) return String(value);
  return name
    .slice(schema.sharedPrefix?.length ?? 0)
    .toLowerCase()
    .replaceAll("_", "-");
}
