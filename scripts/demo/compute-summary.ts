import { formatBytes, formatTable, formatWei, shortHex } from '../../agents/cli/format.ts'
import { percent } from './compute-steps.ts'
import type { ComputePay, ComputeStory } from './compute-story.ts'

/** What the main job found out about compute. */
export type ComputeSummary = {
  models: { id: string; manifestRoot: string; files: number; bytes: number; feeWei: bigint }[]
  services: number
  digits: { images: number; right: number; seconds: number } | undefined
  chat: ComputeStory['chat']
  failover: ComputeStory['failover']
  job: ComputeStory['job']
  pay: ComputePay[]
}

export function summarizeCompute(story: ComputeStory): ComputeSummary {
  const { models, services = 0, digits, chat, failover, job, pay = [] } = story
  return {
    models: [...models.values()],
    services,
    digits: digits && { images: digits.images, right: digits.right, seconds: digits.seconds },
    chat,
    failover,
    job,
    pay,
  }
}

/** Compute as lines for people. */
export function computeSummaryLines(summary: ComputeSummary): string[] {
  const { models, digits, chat, failover, job, pay } = summary
  return [
    'compute',
    ...models.map(
      ({ id, manifestRoot, files, bytes, feeWei }) =>
        `model         ${id}: ${files} files, ${formatBytes(bytes)}, manifest ${shortHex(manifestRoot)}, stored for ${formatWei(feeWei)}`,
    ),
    ...when(
      digits,
      ({ right, images, seconds }) =>
        `digits        ${right} of ${images} held-out images right: ${percent(right / images)}, in ${seconds.toFixed(1)} s`,
    ),
    ...when(
      chat,
      ({ tokens, seconds, provider, firstTextMs }) =>
        `chat          ${tokens} tokens by ${provider} in ${seconds.toFixed(2)} s, the first after ${firstTextMs.toFixed(0)} ms`,
    ),
    ...when(
      job,
      ({ jobId, provider, lines, units, outputRoot, priceWei }) =>
        `batch job     ${jobId}: ${lines} lines, ${units} units by ${provider}, output ${shortHex(outputRoot)} sealed and accepted, ${formatWei(priceWei)}`,
    ),
    ...when(
      failover,
      ({ killed, texts, code, answeredBy }) =>
        `failover      ${killed} killed after ${texts} pieces (${code}), answered by ${answeredBy}`,
    ),
    '',
    ...formatTable(
      ['provider', 'verified answers', 'their fees in wei', 'settled in wei'],
      pay.map(({ name, answers, verifiedWei, settledWei }) => [
        name,
        String(answers),
        String(verifiedWei),
        String(settledWei),
      ]),
    ),
  ]
}

function when<T>(value: T | undefined, line: (value: T) => string): string[] {
  return value === undefined ? [] : [line(value)]
}
