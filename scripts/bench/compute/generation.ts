import { cpSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ExecutionProvider } from '../../../agents/compute/worker/messages.ts'
import { type BenchCase, shortNumber } from '../storage/bench-case.ts'
import { startBare } from './bare.ts'
import type { BenchAgent } from './bench-agent.ts'
import { decoderFile } from './decoder.ts'
import { median } from './median.ts'

const STREAMS = 8
const TOKENS = 128
const PROMPT = 'Tell me a story about a fox.'
const GAIN_TARGET = 2
const BARE_TARGET = 0.8

type Options = { root: string; folder: string; executionProvider: ExecutionProvider; agent: BenchAgent }

/** A decoder, and whether the targets hold for it. */
type Decoder = {
  readonly name: string
  readonly onnx: Buffer | undefined
  rounds: number
  hasTarget: boolean
}

/** Tokens a second of eight streams against one, and against the bare runtime's batch of eight, in turns. */
export async function benchGeneration(options: Options): Promise<BenchCase[]> {
  const decoders: Decoder[] = [
    { name: 'decoder of 26 million weights', onnx: decoderFile(), rounds: 5, hasTarget: true },
    { name: 'the chat model', onnx: undefined, rounds: 15, hasTarget: false },
  ]
  const cases: BenchCase[] = []
  for (const decoder of decoders) cases.push(...(await measure(options, decoder)))
  return cases
}

async function measure(
  { root, folder: base, executionProvider, agent }: Options,
  { name, onnx, rounds, hasTarget }: Decoder,
): Promise<BenchCase[]> {
  const folder = join(base, name.replaceAll(' ', '-'))
  // The tokenizer and the template are those of the model that ships.
  cpSync(join(root, 'models/chat'), folder, { recursive: true })
  // Without a token that ends a text, every stream is as long as it may be.
  writeFileSync(join(folder, 'generation_config.json'), JSON.stringify({ eos_token_id: [] }))
  const onnxFile = join(folder, 'onnx/model.onnx')
  if (onnx !== undefined) writeFileSync(onnxFile, onnx)
  const bare = await startBare({ onnxFile, executionProvider, threads: 0 })
  try {
    await agent.serve({ folder })
    const promptTokens = await countPrompt(agent)
    // Which tokens they are changes nothing of what they cost.
    const promptIds = Array.from({ length: promptTokens }, (_, i) => i + 5)
    const costs = { bare: [] as number[], agent: [] as number[], worker: [] as number[] }
    const bareRun = async (rows: number) => {
      const { runsMs, cpuSec } = await bare.generate({ promptIds, rows, tokens: TOKENS })
      if (rows === STREAMS) costs.bare.push((1000 * cpuSec) / (rows * TOKENS))
      return (1000 * rows * TOKENS) / (runsMs[0] ?? Number.NaN)
    }
    const figures = {
      one: [] as number[],
      eight: [] as number[],
      bareOne: [] as number[],
      bare: [] as number[],
    }
    await streamAll(agent, STREAMS)
    await bareRun(STREAMS)
    for (let round = 0; round < rounds; round++) {
      figures.bare.push(await bareRun(STREAMS))
      const before = agent.spentSec()
      figures.eight.push(await streamAll(agent, STREAMS))
      const after = agent.spentSec()
      if (before !== undefined && after !== undefined) {
        costs.agent.push((1000 * (after.agent - before.agent)) / (STREAMS * TOKENS))
        costs.worker.push((1000 * (after.worker - before.worker)) / (STREAMS * TOKENS))
      }
      figures.one.push(await streamAll(agent, 1))
      figures.bareOne.push(await bareRun(1))
    }
    const ratio = (over: number[], under: number[]) =>
      median(over.map((value, i) => value / (under[i] ?? Number.NaN)))
    const cost = (values: number[]) => shortNumber(median(values))
    const rate = (values: number[]) => `${shortNumber(median(values))} tokens/s`
    const details = Object.fromEntries(
      Object.entries(figures).map(([key, values]) => [key, values.map(shortNumber).join(' ')]),
    )
    const goal = (figure: number, target: number) => ({
      ...{ figure, unit: 'x', details },
      target: hasTarget ? `>= ${target} x` : '-',
      isReached: !hasTarget || figure >= target,
    })
    return [
      {
        name: `${name}, ${STREAMS} streams of ${TOKENS} tokens`,
        ...{ measured: rate(figures.eight), reference: `${rate(figures.one)} (one stream)` },
        ...goal(ratio(figures.eight, figures.one), GAIN_TARGET),
      },
      {
        name: 'the same against the bare runtime',
        measured: `${rate(figures.eight)}; ${cost(costs.agent)} + ${cost(costs.worker)} ms of processor time a token`,
        reference: `${rate(figures.bare)} (batch of ${STREAMS}); ${cost(costs.bare)} ms of processor time a token`,
        ...goal(ratio(figures.eight, figures.bare), BARE_TARGET),
      },
      {
        name: 'one stream against the bare runtime',
        ...{ measured: rate(figures.one), reference: `${rate(figures.bareOne)} (batch of 1)` },
        ...{ ...goal(ratio(figures.one, figures.bareOne), 0), target: '-', isReached: true },
      },
    ]
  } finally {
    await bare.stop()
  }
}

async function countPrompt(agent: BenchAgent): Promise<number> {
  const body = JSON.stringify({ messages: [{ role: 'user', content: PROMPT }], max_tokens: 1 })
  const answer = new TextDecoder().decode(await agent.post('chat/completions', body))
  const { usage } = JSON.parse(answer) as { usage: { prompt_tokens: number } }
  return usage.prompt_tokens
}

/** Tokens a second of so many streams at the same time, from the first request to the last byte. */
async function streamAll(agent: BenchAgent, streams: number): Promise<number> {
  const body = JSON.stringify({
    ...{ stream: true, temperature: 0, max_tokens: TOKENS },
    messages: [{ role: 'user', content: PROMPT }],
  })
  const startMs = performance.now()
  const answers = await Promise.all(
    Array.from({ length: streams }, () => agent.post('chat/completions', body)),
  )
  const seconds = (performance.now() - startMs) / 1000
  for (const bytes of answers) {
    const text = new TextDecoder().decode(bytes)
    if (!text.endsWith('data: [DONE]\n\n') || !text.includes('"finish_reason":"length"'))
      throw new Error(`a stream ended early: ${text.slice(-300)}`)
  }
  return (streams * TOKENS) / seconds
}
