import { z } from 'zod'
import { envBigInt, envBoolean, envInteger, kernelEnv } from '../kernel/config.ts'

const MIB = 1024 * 1024

/** The variables of a storage agent, on top of those that every agent shares. */
export const storageEnv = kernelEnv.extend({
  CAPACITY_BYTES: envInteger(0)
    .default(64 * 1024 * MIB)
    .describe('Most bytes of shards and their Merkle levels kept on disk'),
  MIN_PRICE_WEI: envBigInt().default(1n).describe('Least price per stored sector and period, in wei'),
  UNSEALED_BYTES_PER_OWNER: envInteger(0)
    .default(8 * 1024 * MIB)
    .describe('Most bytes kept for one owner whose deals are not sealed yet'),
  CHUNK_BYTES: envInteger(256, 256 * MIB)
    .default(16 * MIB)
    .describe('Largest body of one PUT; it is never held in memory'),
  BODY_IDLE_MS: envInteger(100, 3_600_000)
    .default(15_000)
    .describe('Longest silence inside a body before the upload is given up; it can be resumed'),
  PARITY_SAMPLES: envInteger(1, 1024)
    .default(8)
    .describe('Random sectors of each parity shard that are computed anew before custody is signed'),
  PEER_TIMEOUT_MS: envInteger(100, 3_600_000)
    .default(10_000)
    .describe('Longest wait for one answer of another provider'),
  SCRUB_INTERVAL_SEC: envInteger(1)
    .default(7 * 24 * 3600)
    .describe('Each shard is hashed anew at least this often'),
  REPAIR_RETRY_BLOCKS: envInteger(1)
    .default(8)
    .describe('Blocks between two tries to rebuild a damaged shard'),
  CLAIM_EVERY_BLOCKS: envInteger(1).default(48).describe('Blocks between two looks at the pay to claim'),
  MIN_CLAIM_WEI: envBigInt()
    .default(0n)
    .describe('Least pay worth claiming; never below what the transactions cost'),
  PAYOUT_ADDRESS: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/, 'an address: 0x and 40 hex digits')
    .optional()
    .describe('Where the pay goes; the operator itself when not set'),
  END_DEALS: envBoolean()
    .default(true)
    .describe('Close deals whose term is over, so that their bond returns'),
})

export type StorageConfig = z.output<typeof storageEnv>
