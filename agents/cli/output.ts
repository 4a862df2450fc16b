import { MultiBar, Presets, type SingleBar } from 'cli-progress'
import { chainError } from '../../sdk/chain/decode-error.ts'
import { ERROR_CODES, isZerogError, ZerogError } from '../../sdk/protocol/errors.ts'

/** Where a command's words go: results to standard output, everything else to standard error. */
export type Output = {
  readonly json: boolean
  /** The result of the command: printed as lines, or as one JSON document with `--json`. */
  result: (value: Record<string, unknown>, lines: string[]) => void
  /** Something worth knowing on the way; silent with `--json`. */
  note: (line: string) => void
  /** A progress bar; now and then a plain line without a terminal, nothing with `--json`. */
  bar: (label: string, unit: string) => Progress
}

export type Progress = { update: (done: number, total: number) => void; stop: () => void }

/** Silence after which work without a terminal says how far it is. */
const PLAIN_EVERY_MS = 10_000

/** Makes the output of one command run. */
export function createOutput(options: { json: boolean }): Output {
  const { json } = options
  const note = (line: string) => {
    if (!json) process.stderr.write(`${printable(line)}\n`)
  }
  return {
    json,
    result: (value, lines) => {
      const text = lines.join('\n')
      process.stdout.write(`${json ? toJson(value) : process.stdout.isTTY ? printable(text) : text}\n`)
    },
    note,
    bar: (label, unit) => {
      if (json) return silent
      return process.stderr.isTTY ? terminalBar(label, unit) : plainLines(label, unit, note)
    },
  }
}

/** Text of others without control characters but line feeds and tabs: it must not steer the terminal. */
export function printable(text: string): string {
  return text.replace(/(?![\n\t])\p{Cc}/gu, '')
}

/** JSON with bigints as decimal strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? item.toString() : item), 2)
}

/** Prints an error with its code and what to do about it, and returns the exit code. */
export function printError(error: unknown, json: boolean): number {
  const { code, message, meta } = knownError(error)
  const { action, exitCode } = ERROR_CODES[code]
  // A bug can only be found with its stack; everything else is for people.
  const stack = code === 'INTERNAL' && error instanceof Error ? `${error.stack}\n` : ''
  process.stderr.write(
    json
      ? `${toJson({ error: { code, message, action, meta } })}\n`
      : printable(`error ${code}: ${message}\n  ${action}\n${stack}`),
  )
  return exitCode
}

const FILE_FAULTS = new Set(['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR', 'EISDIR', 'EROFS', 'ENAMETOOLONG'])

/** Anything thrown as an error of ours: also what the file system, parseArgs, ethers and abort signals throw. */
export function knownError(error: unknown): ZerogError {
  if (isZerogError(error)) return error
  if (error instanceof Error && 'code' in error) {
    const fault = String(error.code)
    if (fault === 'ENOSPC' || fault === 'EDQUOT')
      return new ZerogError('DISK_FULL', undefined, { cause: error })
    if (fault.startsWith('ERR_PARSE_ARGS'))
      return new ZerogError('BAD_REQUEST', error.message, { cause: error })
    if (FILE_FAULTS.has(fault)) return new ZerogError('FILE_MISSING', error.message, { cause: error })
  }
  return chainError(error)
}

const silent: Progress = { update: () => undefined, stop: () => undefined }

/** The bar appears with the first update, and again when work goes on after `stop`. */
function terminalBar(label: string, unit: string): Progress {
  let shown: { bars: MultiBar; bar: SingleBar } | undefined
  return {
    update: (done, total) => {
      const payload = { done: scaled(done, unit), all: scaled(total, unit) }
      shown ??= startBar(label, unit, { total, payload })
      shown.bar.setTotal(total)
      shown.bar.update(done, payload)
    },
    stop: () => {
      // A second stop would move the cursor over lines that were written meanwhile.
      shown?.bars.stop()
      shown = undefined
    },
  }
}

function startBar(label: string, unit: string, { total, payload }: { total: number; payload: object }) {
  const bars = new MultiBar(
    {
      format: `${label} {bar} {percentage}% | {done}/{all} ${unit} | {eta_formatted}`,
      hideCursor: true,
      stream: process.stderr,
      clearOnComplete: false,
    },
    Presets.shades_classic,
  )
  return { bars, bar: bars.create(total, 0, payload) }
}

function plainLines(label: string, unit: string, note: (line: string) => void): Progress {
  let saidMs = performance.now()
  return {
    update: (done, total) => {
      if (performance.now() - saidMs < PLAIN_EVERY_MS) return
      saidMs = performance.now()
      note(`${label} ${Math.floor((done / total) * 100)} % of ${scaled(total, unit)} ${unit}`)
    },
    stop: () => undefined,
  }
}

function scaled(value: number, unit: string): string {
  return unit === 'MB' ? (value / 1e6).toFixed(1) : String(value)
}
