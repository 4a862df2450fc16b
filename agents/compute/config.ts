import { getAddress, isAddress } from 'ethers'
import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { MAX_JOB_INPUT_BYTES } from '../../sdk/protocol/job-input.ts'
import { envAddress, envBigInt, envInteger, kernelEnv } from '../kernel/config.ts'

const MIB = 1024 * 1024

/** The variables of a compute agent, on top of those that every agent shares. */
export const computeEnv = kernelEnv.extend({
  MODEL_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._/-]{0,127}$/, 'a name such as zerog/chat-mini')
    .optional()
    .describe('Id of the model that is served, as clients ask for it; needed, as one of the next two'),
  MODEL_ROOT: z
    .string()
    .regex(/^0x[0-9a-fA-F]{64}$/, 'the root of a manifest: 0x and 64 hex digits')
    .transform((root) => root.toLowerCase())
    .optional()
    .describe("Root in storage of the model's manifest"),
  MODEL_DIR: z
    .string()
    .optional()
    .describe('Folder with the model, in place of MODEL_ROOT: for models that are not in storage'),
  MODEL_FILE: z
    .string()
    .optional()
    .describe('The graph inside the folder; by default onnx/model.onnx, else onnx/model_quantized.onnx'),
  EXECUTION_PROVIDER: z
    .enum(['auto', 'cuda', 'webgpu', 'cpu'], 'auto, cuda, webgpu or cpu')
    .default('auto')
    .describe('Where the model runs; auto takes the first of cuda, webgpu, cpu that loads it'),
  THREADS: envInteger(0, 1024)
    .default(0)
    .describe(
      'Threads of one operator on the CPU; 0 takes one for a small text model, and lets the runtime choose for others',
    ),
  MAX_SEQUENCES: envInteger(1, 1024).default(64).describe('Texts generated in one batch'),
  MAX_ROWS: envInteger(1, 65_536).default(256).describe('Rows of raw requests that are run in one batch'),
  WORKER_SILENCE_MS: envInteger(1000, 3_600_000)
    .default(120_000)
    .describe('A model process that works and says nothing for this long is replaced'),
  SERVICE_TYPE: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('Service type on chain; by default chatbot, embedding or tensor, as the model is'),
  VERIFIABILITY: z.string().max(64).default('OpML').describe('Verifiability on chain'),
  INPUT_PRICE_WEI: envBigInt()
    .default(1_000_000_000n)
    .describe('Price of an input unit (token or row), in wei'),
  OUTPUT_PRICE_WEI: envBigInt().default(2_000_000_000n).describe('Price of an output unit, in wei'),
  MAX_BODY_BYTES: envInteger(1024, 1024 * MIB)
    .default(8 * MIB)
    .describe('Largest body of a request'),
  DEFAULT_MAX_TOKENS: envInteger(1)
    .default(256)
    .describe('Tokens of an answer that asks for no other number'),
  USER_REQUESTS: envInteger(1).default(16).describe('Requests of one account at the same time'),
  QUEUE_REQUESTS: envInteger(1).default(512).describe('Requests at the same time, running and waiting'),
  REQUEST_TIMEOUT_MS: envInteger(1000, 3_600_000)
    .default(300_000)
    .describe('Longest time that one answer may take'),
  ACCOUNT_CACHE_MS: envInteger(0, 600_000)
    .default(2000)
    .describe(
      'An account is read from the chain again when older than this; a revoked key works no longer than ten times this',
    ),
  MODEL_OWNER: envAddress()
    .optional()
    .describe(
      "Who must own the model's name in the registry for its gate to count; free units are given for this owner only, none when not set",
    ),
  MAX_FREE_UNITS: envInteger(0)
    .default(100_000)
    .describe(
      "Units that one holder of a gated model's token gets free of charge in a quota period, at most: less when the model's owner grants less",
    ),
  SETTLE_INTERVAL_SEC: envInteger(1).default(300).describe('Receipts are settled at least this often'),
  SETTLE_AMOUNT_WEI: envBigInt()
    .default(1_000_000_000_000_000_000n)
    .describe('Receipts are settled at once when they come to this much'),
  RECEIPT_KEEP_SEC: envInteger(60)
    .default(30 * 24 * 3600)
    .describe('Settled receipts and signatures are kept this long'),
  JOB_BIDS: z
    .enum(['none', 'named', 'any'], 'none, named or any')
    .default('named')
    .describe('Jobs that are bid on: none, those that name this provider, or any that it can do'),
  JOB_PARALLEL: envInteger(1, 64).default(2).describe('Jobs worked on at the same time'),
  JOB_MIN_PRICE_WEI: envBigInt()
    .default(0n)
    .describe('Least price of a job; gas and storing the output come out of it'),
  JOB_MAX_BOND_WEI: envBigInt()
    .default(10_000_000_000_000_000_000n)
    .describe('Most that is put at stake for one job'),
  JOB_MIN_WORK_SEC: envInteger(1)
    .default(60)
    .describe('Least time between the end of the bids and the deadline of a job'),
  JOB_UNITS_PER_SEC: envInteger(1)
    .default(100)
    .describe(
      'Units (input and output) that the model does in a second; jobs too long for their deadline are left',
    ),
  JOB_MAX_LOSS_WEI: envBigInt()
    .default(1_000_000_000_000_000n)
    .describe('Most that storing the output of a job may cost over what the job pays'),
  JOB_MAX_STORAGE_PERIODS: envBigInt()
    .default(1024n)
    .describe('Most periods that the output of a job is stored for'),
  JOB_INPUT_BYTES: envInteger(1, MAX_JOB_INPUT_BYTES)
    .default(64 * MIB)
    .describe('Largest input of a job'),
  JOB_ARBITERS: z
    .string()
    .default('')
    .transform((list) => list.split(',').filter((one) => one !== ''))
    .pipe(z.array(z.string().refine(isAddress, 'addresses with commas between them').transform(getAddress)))
    .describe('Arbiters that are trusted besides the default one of the network'),
  MIN_WITHDRAW_WEI: envBigInt()
    .default(0n)
    .describe('Least earnings worth withdrawing; never below the cost of it'),
  PAYOUT_ADDRESS: envAddress().optional().describe('Where the earnings go; the operator itself when not set'),
})

type ComputeEnv = z.output<typeof computeEnv>

/** What a compute agent is started with: the variables, with a model among them. */
export type ComputeConfig = ComputeEnv & { readonly MODEL_ID: string }

/** Time to post a voucher in. */
export const POSTING_SEC = 300

/** How long before its end a voucher counts no more: the longest answer, and the time to post it. */
export function voucherSpareSec({ REQUEST_TIMEOUT_MS }: Pick<ComputeConfig, 'REQUEST_TIMEOUT_MS'>): number {
  return Math.ceil(REQUEST_TIMEOUT_MS / 1000) + POSTING_SEC
}

/**
 * The variables of the model's process. It reads files and requests of strangers: it is not told what the agent signs and
 * connects with.
 */
export function workerVariables(env: NodeJS.ProcessEnv = process.env): NodeJS.ProcessEnv {
  const isSecret = (name: string) => /KEY|PASSWORD|SECRET|TOKEN|_URL/i.test(name)
  return Object.fromEntries(Object.entries(env).filter(([name]) => !isSecret(name)))
}

/** Makes sure that there is one model to serve. Error: CONFIG_INVALID. */
export function withModel(env: ComputeEnv): ComputeConfig {
  const { MODEL_ID, MODEL_ROOT, MODEL_DIR } = env
  if (MODEL_ID === undefined) throw new ZerogError('CONFIG_INVALID', 'MODEL_ID is required')
  if ((MODEL_ROOT === undefined) === (MODEL_DIR === undefined))
    throw new ZerogError('CONFIG_INVALID', 'give MODEL_ROOT or MODEL_DIR, one of the two')
  return { ...env, MODEL_ID }
}
