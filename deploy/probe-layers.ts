import { dataLength, type Provider, sha256 } from 'ethers'

/** Which layers beside storage a chain can carry, by the precompiles that they need. */
export type Layers = {
  /** Precompile 0x0a: data availability. */
  hasKzg: boolean
  /** Precompiles 0x0b to 0x11 (Prague): aggregate signatures. */
  hasBls: boolean
}

const POINT_EVALUATION = '0x000000000000000000000000000000000000000a'
const G1_ADD = '0x000000000000000000000000000000000000000b'

async function tryCall(provider: Provider, to: string, data: string): Promise<string> {
  try {
    return await provider.call({ to, data })
  } catch {
    return '0x' // a reverting precompile is an absent one
  }
}

async function hasKzg(provider: Provider): Promise<boolean> {
  const infinity = `c0${'00'.repeat(47)}`
  const versionedHash = `01${sha256(`0x${infinity}`).slice(4)}`
  const zeroPolynomial = `0x${versionedHash}${'00'.repeat(64)}${infinity}${infinity}`
  const answer = await tryCall(provider, POINT_EVALUATION, zeroPolynomial)
  const wrong = await tryCall(provider, POINT_EVALUATION, `${zeroPolynomial.slice(0, -2)}01`)
  return dataLength(answer) === 64 && dataLength(wrong) === 0
}

async function hasBls(provider: Provider): Promise<boolean> {
  const twoInfinities = `0x${'00'.repeat(256)}`
  const answer = await tryCall(provider, G1_ADD, twoInfinities)
  const wrong = await tryCall(provider, G1_ADD, `${twoInfinities.slice(0, -2)}01`)
  return answer === `0x${'00'.repeat(128)}` && dataLength(wrong) === 0
}

/** Asks each precompile one question with a known answer and one that it must refuse. */
export async function probeLayers(provider: Provider): Promise<Layers> {
  return { hasKzg: await hasKzg(provider), hasBls: await hasBls(provider) }
}
