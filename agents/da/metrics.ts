import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import type { ColumnStore } from './column-store.ts'

export type DaMetrics = ReturnType<typeof createDaMetrics>

/** The DA agent's own metrics, on the kernel's registry. */
export function createDaMetrics(registry: Registry, columns: ColumnStore) {
  const registers = [registry]
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `zerog_da_${name}_total`, help, labelNames, registers })
  return {
    usedBytes: new Gauge({
      name: 'zerog_da_used_bytes',
      help: 'Bytes of columns on disk',
      registers,
      collect() {
        this.set(columns.usedBytes())
      },
    }),
    capacityBytes: new Gauge({
      name: 'zerog_da_capacity_bytes',
      help: 'Bytes of columns that may be kept',
      registers,
      collect() {
        this.set(columns.capacityBytes)
      },
    }),
    inFlight: new Gauge({ name: 'zerog_da_blobs_in_flight', help: 'Payloads being dispersed', registers }),
    stepSeconds: new Histogram({
      name: 'zerog_da_step_seconds',
      help: 'Time of each step of a blob: encode, pay, disperse, verify, sign, confirm',
      labelNames: ['step'],
      buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
      registers,
    }),
    published: counter('blobs_published', 'Blobs of this disperser, by how they ended: soft, final, failed', [
      'outcome',
    ]),
    attested: counter('attested', 'Blobs attested'),
    refused: counter('refused', 'Blobs not attested, by code', ['code']),
    receivedBytes: counter('received_bytes', 'Bytes of columns received'),
    servedBytes: counter('served_bytes', 'Bytes of columns served'),
    badPeers: counter('bad_answers', 'Answers of other nodes that did not verify'),
    answered: counter('draws_answered', 'Draws answered'),
    answeredFromPeers: counter('draws_rebuilt', 'Draws answered with a column rebuilt from others'),
    reported: counter('misses_reported', "Others' misses reported"),
    disputed: counter('disputes', 'Disputes won, by kind: cell, headers', ['kind']),
    rotten: counter('rot_found', 'Columns found damaged on disk'),
    repaired: counter('columns_repaired', 'Columns rebuilt from others'),
    pruned: counter('blobs_pruned', 'Expired blobs deleted'),
    claimedWei: counter('withdrawn_wei', 'Pay withdrawn, in wei (approximate)'),
  }
}
