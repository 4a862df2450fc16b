import { rmSync, writeFileSync } from 'node:fs'
import { Command } from 'commander'
import { listen } from '../../kernel/http.ts'
import { parseAmount, parseCount } from '../amount.ts'
import { answerLines } from '../answer-lines.ts'
import { formatWei } from '../format.ts'
import {
  addInferenceOptions,
  type InferenceChoice,
  type InferenceSession,
  proxyFileOf,
  withInference,
} from '../inference-session.ts'
import type { Output } from '../output.ts'
import { openApiKey } from '../proxy/api-key.ts'
import { openDayBudget } from '../proxy/day-budget.ts'
import { createProxyServer } from '../proxy/server.ts'

type ProxyOptions = InferenceChoice & { host: string; port: number; dayLimit?: bigint; newKey?: boolean }

const HELP = `
Any tool that speaks OpenAI's API can use the network: OPENAI_BASE_URL is the address it prints, OPENAI_API_KEY the key that it
shows once (--new-key makes another, and ends the old one). Routes: /v1/models, /v1/chat/completions and /v1/completions (plain
and streaming), /v1/embeddings. Every answer is verified before its end is passed on. A provider that fails before the first
byte is replaced unseen. One that breaks off in the middle of a stream is replaced if the request has temperature 0 or a seed
and the next one writes the same; otherwise the stream ends with an error: nobody can unsay. The headers x-zerog-provider,
x-zerog-fee-wei and x-zerog-answer tell what an answer was. It runs until Ctrl-C.`

/** `zerog compute proxy`: a local server in OpenAI's form, with one key. */
export function proxyCommand(): Command {
  const command = new Command('proxy').description(
    'serve the network to OpenAI tools on this machine: one key, verified answers, a limit a day',
  )
  return addInferenceOptions(command)
    .option(
      '--host <address>',
      'address to listen on; others than this machine need TLS in front',
      '127.0.0.1',
    )
    .option('--port <port>', 'port to listen on, 0 for a free one', parseCount('--port', 0, 65_535), 8787)
    .option('--day-limit <amount>', 'most that may be spent in a UTC day', parseAmount)
    .option('--new-key', 'make a new key; the old one works no longer')
    .addHelpText('after', HELP)
    .action(
      withInference((session, output, _args: [], options: ProxyOptions) =>
        runProxy(session, output, options),
      ),
    )
}

async function runProxy(session: InferenceSession, output: Output, options: ProxyOptions): Promise<void> {
  const { inference, store, folder, signal } = session
  const key = openApiKey(store, { renew: options.newKey === true })
  const budget = openDayBudget(store, { limitWei: options.dayLimit })
  const server = createProxyServer({
    ...{ inference, key, budget },
    provider: options.provider,
    onRequest: ({ route, model, answer, error }) => {
      if (answer !== undefined) for (const line of answerLines(answer)) output.note(line)
      if (error !== undefined) output.note(`error       ${route} ${model}: ${error.code}: ${error.message}`)
    },
  })
  try {
    const url = `${await listen(server, { HTTP_HOST: options.host, HTTP_PORT: options.port })}/v1`
    writeFileSync(proxyFileOf(folder), JSON.stringify({ pid: process.pid, url }), { mode: 0o600 })
    const spentTodayWei = budget.spentTodayWei()
    const limit = options.dayLimit === undefined ? '' : ` of ${formatWei(options.dayLimit)}`
    output.result({ url, apiKey: key.fresh, dayLimitWei: options.dayLimit, spentTodayWei }, [
      `OPENAI_BASE_URL=${url}`,
      key.fresh === undefined
        ? 'OPENAI_API_KEY   as it was shown when it was made (--new-key makes another)'
        : `OPENAI_API_KEY=${key.fresh}`,
      `spent today ${formatWei(spentTodayWei)}${limit}`,
    ])
    await stopped(signal)
  } finally {
    rmSync(proxyFileOf(folder), { force: true })
    inference.close()
    await server.close()
  }
}

function stopped(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
