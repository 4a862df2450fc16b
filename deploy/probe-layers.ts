import { dataLength, dataSlice, type Provider, sha256 } from 'ethers'
import { ZerogError } from '../sdk/protocol/errors.ts'

/** What a chain lacks of the precompiles that data availability needs, such as `0x0a (KZG point evaluation)`. */
export type Layers = { missing: readonly string[] }

/** A question with a known answer, and one that a precompile must refuse: a call to an empty address succeeds and returns nothing. */
type Question = { address: string; name: string; asked: string; isAnswer: (answer: string) => boolean }

const zeros = (bytes: number) => '00'.repeat(bytes)
const answers = (expected: string) => (answer: string) => answer === expected
const hasPoint = (bytes: number) => (answer: string) =>
  dataLength(answer) === bytes && answer !== `0x${zeros(bytes)}`

const COMPRESSED_INFINITY = `c0${zeros(47)}`
const VERSIONED_HASH = `01${sha256(`0x${COMPRESSED_INFINITY}`).slice(4)}`
const length = (bytes: number) => bytes.toString(16).padStart(64, '0')

/** EIP-198, EIP-4844 and EIP-2537. Sums and products of infinity are infinity, and a pairing with it is one. */
const QUESTIONS: readonly Question[] = [
  {
    address: '0x05',
    name: 'modular exponentiation',
    asked: `0x${length(1)}${length(1)}${length(1)}030507`,
    isAnswer: answers('0x05'),
  },
  {
    address: '0x0a',
    name: 'KZG point evaluation',
    asked: `0x${VERSIONED_HASH}${zeros(64)}${COMPRESSED_INFINITY}${COMPRESSED_INFINITY}`,
    isAnswer: (answer) => dataLength(answer) === 64 && BigInt(dataSlice(answer, 0, 32)) === 4096n,
  },
  { address: '0x0b', name: 'G1 addition', asked: `0x${zeros(256)}`, isAnswer: answers(`0x${zeros(128)}`) },
  {
    address: '0x0c',
    name: 'G1 multiplication',
    asked: `0x${zeros(160)}`,
    isAnswer: answers(`0x${zeros(128)}`),
  },
  { address: '0x0d', name: 'G2 addition', asked: `0x${zeros(512)}`, isAnswer: answers(`0x${zeros(256)}`) },
  {
    address: '0x0e',
    name: 'G2 multiplication',
    asked: `0x${zeros(288)}`,
    isAnswer: answers(`0x${zeros(256)}`),
  },
  {
    address: '0x0f',
    name: 'pairing',
    asked: `0x${zeros(384)}`,
    isAnswer: answers(`0x${zeros(31)}01`),
  },
  { address: '0x10', name: 'map to G1', asked: `0x${zeros(64)}`, isAnswer: hasPoint(128) },
  { address: '0x11', name: 'map to G2', asked: `0x${zeros(128)}`, isAnswer: hasPoint(256) },
]

/** Modular exponentiation fills short input up with zeros: it refuses nothing. */
const REFUSES_NOTHING = '0x05'
const LOADS_SETUP = '0x0a'

/** What a precompile returns; undefined when the call fails. */
async function ask(provider: Provider, to: string, data: string): Promise<string | undefined> {
  try {
    return await provider.call({ to: `0x${to.slice(2).padStart(40, '0')}`, data })
  } catch {
    return undefined
  }
}

async function isThere(provider: Provider, { address, asked, isAnswer }: Question): Promise<boolean> {
  if (!isAnswer((await ask(provider, address, asked)) ?? '0x')) return false
  return (
    address === REFUSES_NOTHING ||
    dataLength((await ask(provider, address, asked.slice(0, -2))) ?? '0x') === 0
  )
}

/** Whether it refuses what it must: enough for a development chain, which would load a trusted setup for the answer. */
async function refuses(provider: Provider, { address, asked }: Question): Promise<boolean> {
  return (await ask(provider, address, asked.slice(0, -2))) === undefined
}

/** Asks each precompile one question with a known answer and one that it must refuse; `isLive` is false on development chains. */
export async function probeLayers(provider: Provider, { isLive }: { isLive: boolean }): Promise<Layers> {
  const there = await Promise.all(
    QUESTIONS.map((question) =>
      !isLive && question.address === LOADS_SETUP ? refuses(provider, question) : isThere(provider, question),
    ),
  )
  return {
    missing: QUESTIONS.flatMap(({ address, name }, index) => (there[index] ? [] : [`${address} (${name})`])),
  }
}

/** Refuses a chain that cannot carry data availability. Error: NETWORK_REFUSED naming what is missing. */
export function requireDa({ missing }: Layers): void {
  if (missing.length === 0) return
  throw new ZerogError(
    'NETWORK_REFUSED',
    `this chain cannot carry data availability, it lacks precompiles: ${missing.join(', ')}; --without-da deploys the rest`,
    { meta: { missing } },
  )
}
