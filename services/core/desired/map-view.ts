/** @module What compiling reads of the map. A `RecordMap` is one as it stands; tests and `plan` may pass plain data. */
import type { Admission, Epoch, LinkPolicy, Mesh } from "@spanwire/proto/record";
import type { HeldStatement } from "../records/record-map.ts";

/** Verified records only: nothing below checks a signature. */
export interface MapView {
  readonly mesh: Mesh | undefined;
  readonly linkPolicy: LinkPolicy | undefined;
  readonly epoch: Epoch | undefined;
  /** Live admissions by cluster id: an ended cluster is not here. */
  readonly admissions: ReadonlyMap<string, Admission>;
  /** By record key ("gateway.eu.0"). One whose incarnation is not the admitted one is ignored. */
  readonly statements: ReadonlyMap<string, HeldStatement>;
  /** Keys of records that this version does not understand. */
  unknownKeys(): readonly string[];
}
