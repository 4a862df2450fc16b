import { existsSync, readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'
import { z } from 'zod'
import { ZerogError } from '../../sdk/protocol/errors.ts'

export type Env = Readonly<Record<string, string | undefined>>

const HEX_ADDRESS = /^0x[0-9a-fA-F]{40}$/
const HEX_KEY = /^(0x)?[0-9a-fA-F]{64}$/
const DECIMAL = /^\d+(\.\d{1,9})?$/

/** A whole number within bounds, as a number. */
export function envInteger(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  return z
    .string()
    .regex(/^-?\d+$/, `a whole number from ${min} to ${max}`)
    .transform(Number)
    .pipe(z.number().min(min, `a whole number from ${min} up`).max(max, `a whole number up to ${max}`))
}

/** An on-chain quantity in its smallest unit, as a bigint. */
export function envBigInt() {
  return z.string().regex(/^\d+$/, 'a whole number').transform(BigInt)
}

/** A decimal number of gwei, as wei. */
export function envGwei() {
  return z
    .string()
    .regex(DECIMAL, 'a number of gwei, such as 2.5')
    .transform((text) => {
      const [whole = '0', part = ''] = text.split('.')
      return BigInt(whole) * 1_000_000_000n + BigInt(part.padEnd(9, '0'))
    })
}

/** true/false, yes/no, on/off or 1/0. */
export function envBoolean() {
  return z
    .string()
    .regex(/^(true|false|yes|no|on|off|1|0)$/i, 'true or false')
    .transform((text) => /^(true|yes|on|1)$/i.test(text))
}

/** An http(s) URL without a trailing slash. */
export function envUrl() {
  return z
    .string()
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'an http:// or https:// URL')
    .transform((text) => text.replace(/\/+$/, ''))
}

/** A 20-byte address as written. */
export function envAddress() {
  return z.string().regex(HEX_ADDRESS, 'an address: 0x and 40 hex digits')
}

/** The variables every agent shares; agents extend it: `kernelEnv.extend({…})`. */
export const kernelEnv = z.object({
  RPC_URL: envUrl().default('http://127.0.0.1:8545').describe('JSON-RPC address of the chain'),
  CHAIN_ID: envBigInt().optional().describe('Chain id the RPC must serve; any when not set'),
  ADDRESS_BOOK: z
    .string()
    .optional()
    .describe('File with the contract addresses; default deploy/addresses/<chainId>.json'),
  DATA_DIR: z
    .string()
    .min(1, 'a folder')
    .default('data')
    .describe('Folder of the local database, keys and data'),
  HTTP_HOST: z
    .string()
    .min(1, 'a host name or address')
    .default('127.0.0.1')
    .describe('Address the HTTP server listens on'),
  HTTP_PORT: envInteger(0, 65_535).default(0).describe('Port of the HTTP server; 0 takes a free one'),
  PUBLIC_URL: envUrl().optional().describe('URL under which others reach the HTTP server'),
  REDIS_URL: z
    .string()
    .regex(/^(rediss?|unix):\/\//, 'a redis://, rediss:// or unix:// URL')
    .optional()
    .describe('Redis for jobs; a private redis-server is started when not set'),
  JOB_CONCURRENCY: envInteger(1, 1024).default(4).describe('Jobs performed at the same time'),
  LOG_LEVEL: z
    .enum(
      ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'],
      'fatal, error, warn, info, debug, trace or silent',
    )
    .default('info')
    .describe('Least severe level that is logged'),
  PRIVATE_KEY: z
    .string()
    .regex(HEX_KEY, '64 hex digits')
    .transform((key) => (key.startsWith('0x') ? key : `0x${key}`))
    .optional()
    .describe('Key of the operator in the clear: for development only'),
  KEYSTORE_FILE: z.string().optional().describe('Encrypted JSON keystore of the operator'),
  KEYSTORE_PASSWORD: z
    .string()
    .optional()
    .describe('Password of the keystore; prefer KEYSTORE_PASSWORD_FILE'),
  KEYSTORE_PASSWORD_FILE: z.string().optional().describe('File with the password of the keystore'),
  CONFIRMATIONS: envInteger(0, 10_000).default(1).describe('Blocks on top of a block before it counts'),
  MAX_FEE_GWEI: envGwei()
    .default(500_000_000_000n)
    .describe('Highest fee per gas that is ever paid, in gwei (default 500)'),
})

export type KernelConfig = z.output<typeof kernelEnv>

/**
 * Reads the configuration from `env`, by default the process's variables over those of a `.env` file in the working
 * folder. An empty variable counts as not set.
 *
 * Errors: CONFIG_INVALID whose message lists every bad variable with what is expected; values are never repeated.
 */
export function loadConfig<S extends z.ZodObject>(schema: S, env: Env = processEnv()): z.output<S> {
  const given = Object.fromEntries(
    Object.entries(env).filter(([, value]) => value !== undefined && value !== ''),
  )
  const result = schema.safeParse(given)
  if (result.success) return result.data
  const variables = result.error.issues.map((issue) => {
    const variable = issue.path.join('.') || 'configuration'
    const expected =
      given[variable] === undefined && issue.code === 'invalid_type'
        ? 'is required'
        : `must be ${issue.message}`
    return {
      variable,
      expected: issue.code === 'custom' && issue.path.length === 0 ? issue.message : expected,
    }
  })
  const lines = variables.map(({ variable, expected }) => `  ${variable}: ${expected}`)
  throw new ZerogError('CONFIG_INVALID', `the configuration is not usable:\n${lines.join('\n')}`, {
    meta: { variables },
  })
}

/** Names of variables with the prefix `ZEROG_` that no one reads: most likely a typing error, worth a warning. */
export function unknownVariables(known: readonly string[], env: Env = processEnv()): string[] {
  const read = new Set([...known, 'ZEROG_ALLOW_CRASH', 'ZEROG_CRASH_AT'])
  return Object.keys(env).filter((name) => name.startsWith('ZEROG_') && !read.has(name))
}

/** Renders the section of `.env.example` that a schema stands for: each variable with its description and default. */
export function describeEnv(schema: z.ZodObject): string {
  return Object.entries(schema.shape)
    .map(([name, entry]) => {
      const field = entry as z.ZodType
      const description = field.description ?? ''
      const unset = field.safeParse(undefined)
      const note = unset.success ? '' : ' (required)'
      const text = unset.success && unset.data !== undefined ? envText(name, unset.data) : ''
      const line = `${name}=${text}`
      return `# ${description}${note}\n${unset.success ? `#${line}` : line}`
    })
    .join('\n')
}

function envText(name: string, value: unknown): string {
  if (typeof value === 'bigint' && name.endsWith('_GWEI')) return String(Number(value) / 1e9)
  return String(value)
}

function processEnv(): Env {
  const file = existsSync('.env') ? parseEnv(readFileSync('.env', 'utf8')) : {}
  return { ...file, ...process.env }
}
