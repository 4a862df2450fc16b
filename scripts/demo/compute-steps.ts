import { formatWei } from '../../agents/cli/format.ts'
import { readService } from '../../sdk/chain/compute.ts'
import { modelNames, SHIPPED_MODELS, serveModels } from '../devnet/serve-models.ts'
import type { DevnetAgent } from '../devnet/start-devnet.ts'
import { waitUntil } from '../devnet/wait-until.ts'
import { ask, MAX_TOKENS } from './ask-chat.ts'
import type { ComputePay, ComputeStory } from './compute-story.ts'
import { classesOf, readHeldout } from './heldout-digits.ts'

const COMPUTE_AGENTS = 3
const ROWS_AT_ONCE = 40
const LEAST_RIGHT = 0.97
const KILL_TRIES = 5
const SETTLE_TIMEOUT_MS = 180_000

/** Stores the models; the agents pull them by manifest root, verify them, and list their services. */
export async function publishModels(story: ComputeStory): Promise<void> {
  const { devnet, output, signal, models, inference, nameOf } = story
  const report = (line: string) => output.note(`   ${line}`)
  const published = await serveModels(devnet, { names: modelNames(COMPUTE_AGENTS), report, signal })
  for (const [name, model] of published) models.set(name, model)
  const offers = await inference.services({ signal })
  for (const { provider, model, inputPriceWei, outputPriceWei, stakeWei, modelRoot, latencyMs } of offers) {
    const known = [...published.values()].find(({ id }) => id === model)
    if (known?.manifestRoot !== modelRoot)
      throw new Error(`${model} is listed with another root: ${modelRoot}`)
    output.note(
      `   ${nameOf(provider)} offers ${model} for ${formatWei(inputPriceWei)} and ${formatWei(outputPriceWei)} a unit, stake ${formatWei(stakeWei)}, answers in ${latencyMs?.toFixed(0)} ms`,
    )
  }
  if (offers.length !== COMPUTE_AGENTS) throw new Error(`${offers.length} services are offered`)
  story.services = offers.length
}

/** Has the held-out digits classified, and counts how many rightly. */
export async function classifyDigits(story: ComputeStory): Promise<void> {
  const { inference, output, signal, models } = story
  const { images, labels, maxPixel } = await readHeldout()
  const startedMs = performance.now()
  const predictions: number[] = []
  for (let first = 0; first < images.length; first += ROWS_AT_ONCE) {
    const rows = images.slice(first, first + ROWS_AT_ONCE)
    const data = Float32Array.from(rows.flat(), (value) => value / maxPixel)
    const answer = await inference.infer(
      {
        model: SHIPPED_MODELS.digits.id,
        inputs: { pixel_values: { type: 'float32', dims: [rows.length, 1, 8, 8], data } },
      },
      { modelRoot: models.get('digits')?.manifestRoot, signal },
    )
    story.answers.push(answer)
    predictions.push(...classesOf(Array.from(answer.outputs.logits?.data ?? [], Number)))
  }
  const seconds = (performance.now() - startedMs) / 1000
  const right = labels.filter((label, index) => label === predictions[index]).length
  story.digits = { images: images.length, right, seconds, predictions }
  output.note(
    `   ${right} of ${images.length} held-out digits named rightly (${percent(right / images.length)}) in ${seconds.toFixed(1)} s, every answer verified`,
  )
  if (right < LEAST_RIGHT * images.length) throw new Error(`only ${right} of ${images.length} are right`)
}

/** Streams a chat completion. */
export async function streamChat(story: ComputeStory): Promise<void> {
  const { output, nameOf } = story
  const { result, firstTextMs, broken } = await ask(story, 'Tell me a story about a fox.')
  if (broken.length > 0) throw new Error(`the stream broke at ${broken.map(({ provider }) => provider)}`)
  story.answers.push(result)
  const { text, provider, usage, feeWei, totalMs } = result
  story.chat = {
    text,
    provider: nameOf(provider),
    tokens: usage.outputUnits,
    firstTextMs,
    seconds: totalMs / 1000,
  }
  output.note(`   "${text.length > 150 ? `${text.slice(0, 150)}…` : text}"`)
  output.note(
    `   ${usage.outputUnits} tokens by ${nameOf(provider)} in ${(totalMs / 1000).toFixed(2)} s, the first after ${firstTextMs.toFixed(0)} ms, for ${formatWei(feeWei)}; signature and hashes verified`,
  )
}

/** Kills the provider that is answering; the client begins anew at another one. The dead one comes back. */
export async function killMidStream(story: ComputeStory): Promise<void> {
  const { devnet, output, nameOf } = story
  for (let tries = 1; tries <= KILL_TRIES; tries++) {
    let victim: DevnetAgent | undefined
    const { result, broken } = await ask(story, 'Tell me a long story about a brave bear and a river.', {
      onText: async (provider) => {
        if (victim !== undefined) return
        victim = devnet.computeAgents.find(({ address }) => address === provider)
        await victim?.child.kill('SIGKILL')
        output.note(`   ${victim?.name} (process ${victim?.child.pid}) is dead in the middle of its answer`)
      },
    })
    story.answers.push(result)
    if (victim !== undefined) {
      story.victims.push(victim.address)
      await devnet.restartAgent(victim)
    }
    const [first] = broken
    if (first === undefined || victim === undefined) {
      output.note('   the answer was whole before the kill: once more')
      continue
    }
    if (result.provider === victim.address) throw new Error(`${victim.name} answered though it was dead`)
    story.failover = {
      killed: victim.name,
      texts: first.texts,
      code: first.code,
      answeredBy: nameOf(result.provider),
      tries,
    }
    output.note(
      `   after ${first.texts} pieces: ${first.code}; ${nameOf(result.provider)} answered anew, ${result.usage.outputUnits} tokens, verified`,
    )
    output.note(`   ${victim.name} is back`)
    return
  }
  throw new Error(`no answer could be interrupted in ${KILL_TRIES} tries`)
}

/**
 * Waits until every verified answer is settled, and not a wei more is: but for an answer whose provider was killed after its
 * receipt was written and before its last byte was out.
 */
export async function settle(story: ComputeStory): Promise<void> {
  const { devnet, output, signal } = story
  await waitUntil(
    async () => ((await readPay(story)).every((pay) => pay.settledWei >= pay.verifiedWei) ? true : undefined),
    { what: 'every answer is settled', timeoutMs: SETTLE_TIMEOUT_MS, everyMs: 500, signal },
  )
  story.pay = await readPay(story)
  for (const { provider, name, answers, verifiedWei, settledWei } of story.pay) {
    output.note(`   ${name}: ${answers} answers for ${verifiedWei} wei, settled ${settledWei} wei`)
    const service = await readService(devnet.chain, provider, { signal })
    const cut = BigInt(story.victims.filter((victim) => victim === provider).length)
    const mostCutWei =
      cut * BigInt(MAX_TOKENS) * ((service?.inputPriceWei ?? 0n) + (service?.outputPriceWei ?? 0n))
    if (settledWei > verifiedWei + mostCutWei)
      throw new Error(`${name} took ${settledWei} wei for ${verifiedWei}`)
  }
}

async function readPay({ devnet, inference, answers }: ComputeStory): Promise<ComputePay[]> {
  const user = await inference.user()
  return Promise.all(
    devnet.computeAgents.map(async ({ address, name }) => {
      const own = answers.filter(({ provider }) => provider === address)
      return {
        ...{ provider: address, name, answers: own.length },
        verifiedWei: own.reduce((sum, { feeWei }) => sum + feeWei, 0n),
        settledWei: await devnet.chain.compute.inference.settledOf(user, address),
      }
    }),
  )
}

export const percent = (share: number): string => `${(share * 100).toFixed(2)} %`
