import type { JobRequest } from '../protocol/job-input.ts'
import { JOB_HEADER_BYTES } from '../protocol/job-output.ts'

/** What the price of a job is reckoned with. */
export type JobUnits = {
  readonly inputUnits: bigint
  readonly maxUnits: bigint
  readonly maxOutputBytes: bigint
}

const DEFAULT_TOKENS = 256
/** Tokens that a tokenizer or a chat template puts around a text. */
const FRAME_TOKENS = 16
const LINE_BYTES = 4096
/** Of one unit of output: a token with its share of the answer, or a row of numbers. */
const UNIT_BYTES = 4096

/**
 * Units that the requests cannot pass: of text, a token for each byte and `max_tokens`; of tensors, their rows. Whoever knows the tokenizer can
 * say less, and pay less.
 */
export function boundJobUnits(requests: readonly JobRequest[]): JobUnits {
  let inputUnits = 0
  let maxUnits = 0
  for (const { url, body } of requests) {
    if (url === '/v1/infer') {
      const rows = rowsOf(body.inputs)
      inputUnits += rows
      maxUnits += rows
      continue
    }
    const texts = textsOf(body)
    inputUnits += texts.reduce((sum, text) => sum + byteLength(text) + FRAME_TOKENS, FRAME_TOKENS)
    if (url === '/v1/embeddings') continue
    const most = body.max_completion_tokens ?? body.max_tokens
    maxUnits += typeof most === 'number' ? most : DEFAULT_TOKENS
  }
  const texts = requests.length * LINE_BYTES
  const vectors = requests.reduce(
    (sum, { url, body }) => sum + (url === '/v1/embeddings' ? textsOf(body).length : 0),
    0,
  )
  return {
    inputUnits: BigInt(inputUnits),
    maxUnits: BigInt(maxUnits),
    maxOutputBytes: BigInt(JOB_HEADER_BYTES + texts + UNIT_BYTES * maxUnits + 16 * UNIT_BYTES * vectors),
  }
}

function rowsOf(inputs: unknown): number {
  if (typeof inputs !== 'object' || inputs === null) return 1
  const sizes = Object.values(inputs).map((tensor: unknown) => {
    const { dims } = (tensor ?? {}) as { dims?: unknown }
    return Array.isArray(dims) && typeof dims[0] === 'number' ? dims[0] : 1
  })
  return Math.max(1, ...sizes)
}

/** Every text that a tokenizer sees. */
function textsOf({ messages, prompt, input }: JobRequest['body']): string[] {
  const parts = [prompt, input].flat()
  if (Array.isArray(messages)) parts.push(...messages.map((one: unknown) => JSON.stringify(one)))
  return parts.filter((part): part is string => typeof part === 'string')
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length
}
