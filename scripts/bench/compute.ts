import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { CHECKOUT } from '../../agents/cli/checkout.ts'
import type { ExecutionProvider } from '../../agents/compute/worker/messages.ts'
import { startBare } from './compute/bare.ts'
import { startBenchAgent } from './compute/bench-agent.ts'
import { benchGeneration } from './compute/generation.ts'
import { benchLatency } from './compute/latency.ts'
import { benchThroughput } from './compute/throughput.ts'
import { commit, load, machine } from './report/place.ts'
import { type BenchCase, shortNumber } from './storage/bench-case.ts'

const PROVIDERS: readonly ExecutionProvider[] = ['cpu', 'cuda', 'webgpu']
const { values } = parseArgs({
  options: {
    json: { type: 'string' },
    ep: { type: 'string', default: 'cpu' },
    skip: { type: 'string', multiple: true, default: [] },
  },
})
const report = (line: string) => process.stderr.write(`${line}\n`)

/**
 * Runs all cases but those of `--skip` (throughput, generation, latency) on the execution provider of `--ep` (cpu, cuda, webgpu), prints a
 * table, and writes them to the `--json` file. Returns the exit code: 1 when a target is missed, 69 when the machine does
 * not have the execution provider, 64 when there is none of that name.
 */
async function main(): Promise<number> {
  const executionProvider = PROVIDERS.find((name) => name === values.ep)
  if (executionProvider === undefined) {
    report(`--ep is one of ${PROVIDERS.join(', ')}`)
    return 64
  }
  const onnxFile = join(CHECKOUT, 'models/digits/onnx/model.onnx')
  try {
    await (await startBare({ onnxFile, executionProvider, threads: 0 })).stop()
  } catch (error) {
    report(error instanceof Error ? error.message : String(error))
    return 69
  }
  const folder = mkdtempSync(join(tmpdir(), 'zerog-bench-'))
  const loads = [load()]
  try {
    report('starting a compute agent')
    const options = { root: CHECKOUT, folder, executionProvider }
    const agent = await startBenchAgent(options)
    const cases: BenchCase[] = []
    const isOn = (name: string) => !values.skip.includes(name)
    try {
      if (isOn('throughput')) {
        report('classifying')
        cases.push(...(await benchThroughput({ ...options, agent })))
      }
      if (isOn('generation')) {
        report('generating')
        cases.push(...(await benchGeneration({ ...options, agent })))
      }
      if (isOn('latency')) {
        report('asking one by one')
        cases.push(await benchLatency({ ...options, agent }))
      }
    } finally {
      await agent.stop()
    }
    loads.push(load())
    const device = deviceOf(executionProvider)
    const place = { commit: commit(), machine: machine(), executionProvider, device, loads }
    const result = { ...place, date: new Date().toISOString(), cases }
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`)
    process.stdout.write(table(result))
    return cases.every(({ isReached }) => isReached) ? 0 : 1
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** What the models ran on. */
function deviceOf(executionProvider: ExecutionProvider): string {
  if (executionProvider === 'cpu') return 'the processor'
  try {
    const args = ['--query-gpu=name', '--format=csv,noheader']
    return execFileSync('nvidia-smi', args, { encoding: 'utf8' }).trim().split('\n').join(', ')
  } catch {
    return 'a GPU of unknown name'
  }
}

function table(result: {
  commit: string
  machine: string
  executionProvider: string
  device: string
  date: string
  loads: number[]
  cases: BenchCase[]
}): string {
  const { commit, machine, executionProvider, device, date, loads, cases } = result
  const rows = cases.map(
    ({ name, measured, reference, figure, unit, target, isReached }) =>
      `| ${name} | ${measured} | ${reference} | ${shortNumber(figure)} ${unit} | ${target} | ${target === '-' ? '-' : isReached ? 'yes' : 'NO'} |`,
  )
  return [
    `commit ${commit}, ${date.slice(0, 10)}, ${machine}, load ${loads.map(shortNumber).join(', ')}; ${executionProvider}: ${device}`,
    '',
    '| case | measured | reference | figure | target | reached |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

process.exitCode = await main()
