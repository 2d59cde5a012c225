/** What the hub says of itself among the mesh's conditions. */
export interface HubCondition {
  /** "SecretStoreAway": stable, for programs. */
  readonly type: string;
  readonly subject: string;
  readonly message: string;
}
