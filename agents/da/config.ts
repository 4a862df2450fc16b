import { z } from 'zod'
import { MAX_PAYLOAD_BYTES } from '../../sdk/protocol/blob.ts'
import { envAddress, envBigInt, envBoolean, envInteger, kernelEnv } from '../kernel/config.ts'
import { rollupEnv } from './rollup-config.ts'

const MIB = 1024 * 1024

/** The variables of a DA agent, on top of those that every agent shares. */
export const daEnv = kernelEnv.extend({
  CAPACITY_BYTES: envInteger(0)
    .default(64 * 1024 * MIB)
    .describe('Most bytes of columns kept on disk'),
  DA_JOIN: envBoolean()
    .default(true)
    .describe('Register a key and take a slot in the committee as soon as the stake suffices'),
  DA_SPONSORED: z
    .string()
    .transform((text) => text.split(',').map((entry) => entry.trim()))
    .pipe(z.array(envAddress()))
    .default([])
    .describe('Accounts whose blobs this disperser pays for, separated by commas; its own always'),
  DA_MAX_PAYLOAD_BYTES: envInteger(1, MAX_PAYLOAD_BYTES)
    .default(MAX_PAYLOAD_BYTES)
    .describe('Largest payload that is dispersed'),
  DA_BLOBS_IN_FLIGHT: envInteger(1, 1024)
    .default(8)
    .describe('Payloads dispersed at the same time; more are refused with 503 DA_BUSY'),
  DA_BYTES_IN_FLIGHT: envInteger(1)
    .default(64 * MIB)
    .describe('Payload bytes dispersed at the same time; memory is about six times as much'),
  DA_UNPAID_PER_PUBLISHER: envInteger(0)
    .default(2)
    .describe('Payloads encoded for one account that it has not paid for yet'),
  DA_UNPAID_BLOCKS: envInteger(1).default(64).describe('Blocks that a publisher has to pay'),
  DA_SOFT_GRACE_MS: envInteger(0, 600_000)
    .default(1000)
    .describe('How long a SOFT quorum waits for FINAL, which saves a transaction'),
  DA_INTAKES: envInteger(1, 1024)
    .default(8)
    .describe('Blobs received for attestation at the same time; more are refused with 503 DA_BUSY'),
  DA_PAYMENT_WAIT_MS: envInteger(0, 600_000)
    .default(5000)
    .describe('How long a node waits to see the payment of a blob that it is offered'),
  BODY_IDLE_MS: envInteger(100, 3_600_000)
    .default(15_000)
    .describe('Longest silence inside a body before the request is given up'),
  PEER_TIMEOUT_MS: envInteger(100, 3_600_000)
    .default(30_000)
    .describe('Longest wait for one answer of another node'),
  SCRUB_INTERVAL_SEC: envInteger(1)
    .default(24 * 3600)
    .describe('Each column is checked anew at least this often'),
  REPAIR_RETRY_BLOCKS: envInteger(1).default(8).describe('Blocks between two tries to rebuild a column'),
  CLAIM_EVERY_BLOCKS: envInteger(1).default(48).describe('Blocks between two looks at the pay to claim'),
  MIN_CLAIM_WEI: envBigInt()
    .default(0n)
    .describe('Least pay worth claiming; never below what the transactions cost'),
  PAYOUT_ADDRESS: envAddress().optional().describe('Where the pay goes; the operator itself when not set'),
  ...rollupEnv.shape,
})

export type DaConfig = z.output<typeof daEnv>
