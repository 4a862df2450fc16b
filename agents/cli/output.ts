import { MultiBar, Presets, type SingleBar } from 'cli-progress'
import { ERROR_CODES, isZerogError } from '../../sdk/protocol/errors.ts'

/** Where a command's words go: results to standard output, everything else to standard error. */
export type Output = {
  readonly json: boolean
  /** The result of the command: printed as lines, or as one JSON document with `--json`. */
  result: (value: Record<string, unknown>, lines: string[]) => void
  /** Something worth knowing on the way; silent with `--json`. */
  note: (line: string) => void
  /** A progress bar; does nothing with `--json` or without a terminal. */
  bar: (label: string, unit: string) => Progress
}

export type Progress = { update: (done: number, total: number) => void; stop: () => void }

/** Makes the output of one command run. */
export function createOutput(options: { json: boolean }): Output {
  const { json } = options
  return {
    json,
    result: (value, lines) => {
      process.stdout.write(json ? `${toJson(value)}\n` : `${lines.join('\n')}\n`)
    },
    note: (line) => {
      if (!json) process.stderr.write(`${line}\n`)
    },
    bar: (label, unit) => (json || !process.stderr.isTTY ? silent : terminalBar(label, unit)),
  }
}

/** JSON with bigints as decimal strings. */
export function toJson(value: unknown): string {
  return JSON.stringify(value, (_key, item) => (typeof item === 'bigint' ? item.toString() : item), 2)
}

/** Prints an error with its code and what to do about it, and returns the exit code. */
export function printError(error: unknown, json: boolean): number {
  if (!isZerogError(error)) {
    const message = error instanceof Error ? error.message : String(error)
    process.stderr.write(
      json ? `${toJson({ error: { code: 'INTERNAL', message } })}\n` : `error: ${message}\n`,
    )
    return ERROR_CODES.INTERNAL.exitCode
  }
  const row = ERROR_CODES[error.code]
  const text = { code: error.code, message: error.message, action: row.action, meta: error.meta }
  process.stderr.write(
    json ? `${toJson({ error: text })}\n` : `error ${error.code}: ${error.message}\n  ${row.action}\n`,
  )
  return row.exitCode
}

const silent: Progress = { update: () => undefined, stop: () => undefined }

function terminalBar(label: string, unit: string): Progress {
  const bars = new MultiBar(
    {
      format: `${label} {bar} {percentage}% | {done}/{all} ${unit} | {eta_formatted}`,
      hideCursor: true,
      stream: process.stderr,
      clearOnComplete: false,
    },
    Presets.shades_classic,
  )
  let bar: SingleBar | undefined
  return {
    update: (done, total) => {
      const shown = { done: scaled(done, unit), all: scaled(total, unit) }
      if (bar === undefined) bar = bars.create(total, done, shown)
      bar.setTotal(total)
      bar.update(done, shown)
    },
    stop: () => bars.stop(),
  }
}

function scaled(value: number, unit: string): string {
  return unit === 'MB' ? (value / 1e6).toFixed(1) : String(value)
}
