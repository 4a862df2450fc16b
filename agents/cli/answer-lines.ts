import type { VerifiedAnswer } from '../../sdk/client/inference.ts'
import { formatWei, shortHex } from './format.ts'

/** What an answer was, for people: who gave it, that it was verified, what it took and cost. */
export function answerLines(answer: VerifiedAnswer): string[] {
  const { model, provider, usage, feeWei, firstByteMs, totalMs, failures } = answer
  const seconds = (ms: number) => `${(ms / 1000).toFixed(2)} s`
  return [
    `verified    ${model} by ${provider}`,
    `cost        ${formatWei(feeWei)} for ${usage.inputUnits} + ${usage.outputUnits} units, ` +
      `first byte after ${seconds(firstByteMs)}, all after ${seconds(totalMs)}`,
    ...(failures.length === 0
      ? []
      : [
          `failed over ${failures.map((failure) => `${shortHex(failure.provider)} (${failure.code})`).join(', ')}`,
        ]),
  ]
}

/** The same as data. */
export function answerFields(answer: VerifiedAnswer) {
  const { verified, provider, model, modelRoot, feeWei, usage, receipt, chatId, signature } = answer
  const { failures, firstByteMs, totalMs } = answer
  return {
    ...{ verified, provider, model, modelRoot, feeWei, usage, failures, chatId, signature, receipt },
    ...{ firstByteMs, totalMs },
  }
}
