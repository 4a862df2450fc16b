import { Counter, Gauge, type Registry } from 'prom-client'
import type { ShardStore } from './shard-store.ts'

export type StorageMetrics = ReturnType<typeof createStorageMetrics>

/** The storage agent's own metrics, on the kernel's registry. */
export function createStorageMetrics(registry: Registry, store: ShardStore) {
  const registers = [registry]
  return {
    usedBytes: new Gauge({
      name: 'zerog_storage_used_bytes',
      help: 'Bytes spoken for on disk',
      registers,
      collect() {
        this.set(store.usedBytes())
      },
    }),
    capacityBytes: new Gauge({
      name: 'zerog_storage_capacity_bytes',
      help: 'Bytes that may be used on disk',
      registers,
      collect() {
        this.set(store.capacityBytes)
      },
    }),
    shards: new Gauge({
      name: 'zerog_storage_shards',
      help: 'Shards by state: partial, complete, damaged',
      labelNames: ['state'],
      registers,
      collect() {
        for (const [state, count] of Object.entries(store.counts())) this.set({ state }, count)
      },
    }),
    receivedBytes: new Counter({
      name: 'zerog_storage_received_bytes_total',
      help: 'Bytes of shards received',
      registers,
    }),
    servedBytes: new Counter({
      name: 'zerog_storage_served_bytes_total',
      help: 'Bytes of shards sent',
      registers,
    }),
    signed: new Counter({
      name: 'zerog_storage_custody_signed_total',
      help: 'Custody offers signed',
      registers,
    }),
    refused: new Counter({
      name: 'zerog_storage_custody_refused_total',
      help: 'Custody offers refused, by code',
      labelNames: ['code'],
      registers,
    }),
    answered: new Counter({
      name: 'zerog_storage_draws_answered_total',
      help: 'Draws answered',
      registers,
    }),
    answeredFromPeers: new Counter({
      name: 'zerog_storage_draws_rebuilt_total',
      help: 'Draws answered with a sector rebuilt from other shards',
      registers,
    }),
    reported: new Counter({
      name: 'zerog_storage_misses_reported_total',
      help: "Others' misses reported",
      registers,
    }),
    rotten: new Counter({
      name: 'zerog_storage_rot_found_total',
      help: 'Shards found damaged on disk',
      registers,
    }),
    repaired: new Counter({
      name: 'zerog_storage_shards_repaired_total',
      help: 'Shards rebuilt from the other shards of their deal',
      registers,
    }),
    claimedWei: new Counter({
      name: 'zerog_storage_withdrawn_wei_total',
      help: 'Pay withdrawn, in wei (approximate)',
      registers,
    }),
    suspended: new Gauge({
      name: 'zerog_storage_suspended',
      help: '1 while the provider is suspended',
      registers,
    }),
  }
}
