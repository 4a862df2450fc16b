import type { UnitPrices } from '../../../sdk/client/inference.ts'

/** Tokens of an answer that names no number: what the inference client then asks for. */
export const DEFAULT_MAX_TOKENS = 256

/** The most that a request may cost at a price: a token is a byte at least, and a chat template adds some. */
export function worstCaseWei(
  { inputPriceWei, outputPriceWei }: UnitPrices,
  { bodyBytes, outputUnits }: { bodyBytes: number; outputUnits: number },
): bigint {
  return BigInt(bodyBytes + TEMPLATE_TOKENS) * inputPriceWei + BigInt(outputUnits) * outputPriceWei
}

const TEMPLATE_TOKENS = 256
