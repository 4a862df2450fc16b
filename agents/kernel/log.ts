import { type DestinationStream, type Logger, pino } from 'pino'

export type Log = Logger

const SECRET_KEYS = [
  'privateKey',
  'PRIVATE_KEY',
  'password',
  'KEYSTORE_PASSWORD',
  'mnemonic',
  'secret',
  'token',
  'authorization',
  'Authorization',
  'cookie',
  'requirepass',
]

// Pino's wildcards match one level each, so that a secret is named at the depths a log object can reach.
const REDACT_PATHS = SECRET_KEYS.flatMap((key) => [key, `*.${key}`, `*.*.${key}`, `*.*.*.${key}`])

const URL_PASSWORD = /(\w+:\/\/[^:/@\s]*):[^@/\s]+@/g

export declare namespace createLog {
  type Options = { name: string; level?: string; destination?: DestinationStream }
}

/** Creates the JSON-lines logger of an agent; secrets are censored by key, and passwords in URLs by pattern. */
export function createLog({ name, level = 'info', destination }: createLog.Options): Log {
  const options = {
    name,
    level,
    redact: { paths: REDACT_PATHS, censor: '[redacted]' },
    serializers: {
      err: (error: unknown) => errorFields(error),
      error: (error: unknown) => errorFields(error),
    },
    hooks: { streamWrite: (line: string) => line.replace(URL_PASSWORD, '$1:[redacted]@') },
  }
  return destination ? pino(options, destination) : pino(options)
}

// Error objects of libraries carry whole requests; only what helps an operator is written.
function errorFields(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return error
  const { code, meta } = error as Error & { code?: unknown; meta?: unknown }
  return {
    type: error.name,
    message: error.message,
    ...(code === undefined ? {} : { code }),
    ...(meta === undefined ? {} : { meta }),
    stack: error.stack,
    ...(error.cause === undefined || depth > 3 ? {} : { cause: errorFields(error.cause, depth + 1) }),
  }
}
