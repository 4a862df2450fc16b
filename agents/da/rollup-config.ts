import { z } from 'zod'
import { MAX_PAYLOAD_BYTES } from '../../sdk/protocol/blob.ts'
import { envInteger } from '../kernel/config.ts'

const MIB = 1024 * 1024
const ADDRESS = /^0x[0-9a-fA-F]{40}$/

/** The variables of the rollup fronts (OP-stack alt-DA and AnyTrust), part of a DA agent's. */
export const rollupEnv = z.object({
  ROLLUP_TOKEN: z
    .string()
    .min(16, 'at least 16 characters')
    .optional()
    .describe(
      'Secret that a rollup must show to /put, as Bearer token or as password in its URL; without it only this machine may put',
    ),
  ROLLUP_COMMITMENT: z
    .enum(['generic', 'keccak'], 'generic or keccak')
    .default('generic')
    .describe('Commitment that POST /put answers with: generic (0x01 0x7a blob id) or keccak'),
  ROLLUP_UNTIL: z
    .enum(['final', 'soft'], 'final or soft')
    .default('final')
    .describe('How far a blob must be before /put and das_store answer'),
  ROLLUP_RETENTION_PERIODS: envInteger(1)
    .optional()
    .describe('Periods for which /put pays; the longest that the contract allows when not set'),
  ROLLUP_MAX_BYTES: envInteger(1, MAX_PAYLOAD_BYTES)
    .default(MAX_PAYLOAD_BYTES)
    .describe('Largest payload of /put and das_store'),
  ROLLUP_BUFFER_BYTES: envInteger(MAX_PAYLOAD_BYTES)
    .default(256 * MIB)
    .describe('Most bytes of rollup payloads in memory; further requests wait'),
  ROLLUP_IN_FLIGHT: envInteger(1, 256)
    .default(8)
    .describe('Payloads of rollups published or read at the same time; further ones wait'),
  ROLLUP_TIMEOUT_SEC: envInteger(1, 3600)
    .default(600)
    .describe('Longest time from a /put to its answer; then 503, and the rollup falls back'),
  ANYTRUST_BATCH_POSTERS: z
    .string()
    .transform((text) => text.split(/[\s,]+/).filter((item) => item !== ''))
    .pipe(z.array(z.string().regex(ADDRESS, 'addresses, separated by commas')))
    .default([])
    .describe('Accounts whose signature das_store accepts, separated by commas; nobody when not set'),
})

export type RollupConfig = z.output<typeof rollupEnv>
