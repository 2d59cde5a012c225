/** @module Something for each peer of each device, without a key of its own for each: those would be most of it. */

export interface PeerRef {
  readonly device: string;
  /** Base64. */
  readonly publicKey: string;
}

export class PeerMap<V> {
  readonly #devices = new Map<string, Map<string, V>>();

  get({ device, publicKey }: PeerRef): V | undefined {
    return this.#devices.get(device)?.get(publicKey);
  }

  set({ device, publicKey }: PeerRef, value: V): void {
    let peers = this.#devices.get(device);
    if (peers === undefined) {
      peers = new Map();
      this.#devices.set(device, peers);
    }
    peers.set(publicKey, value);
  }

  delete({ device, publicKey }: PeerRef): void {
    this.#devices.get(device)?.delete(publicKey);
  }

  *values(): Generator<V> {
    for (const peers of this.#devices.values()) yield* peers.values();
  }
}
