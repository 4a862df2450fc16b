import {
  Contract,
  concat,
  dataLength,
  dataSlice,
  getBytesCopy,
  hexlify,
  type Provider,
  TypedDataEncoder,
  zeroPadValue,
} from 'ethers'
import type { DeployedName } from '../sdk/chain/address-book.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'
import { type AddressBook, type BookEntry, contractsOf } from './address-book.ts'
import { type Artifact, loadArtifact } from './artifact.ts'
import type { Check, Refs } from './module.ts'
import { modulesOf } from './modules/all.ts'

/** Immutables that depend on the contract's own address, which a simulated creation cannot have. */
async function ownWords(provider: Provider, artifact: Artifact, address: string): Promise<Set<string>> {
  const words = new Set([zeroPadValue(address, 32).toLowerCase()])
  if (artifact.abi.getFunction('eip712Domain') === null) return words
  const contract = new Contract(address, artifact.abi, provider)
  const domain = await contract.getFunction('eip712Domain').staticCall()
  const { name, version, chainId } = domain as Record<'name' | 'version', string> & { chainId: bigint }
  return words.add(TypedDataEncoder.hashDomain({ name, version, chainId, verifyingContract: address }))
}

/** Whether two codes are equal but for immutables whose value in `code` is one of `own`. */
function isSameCode(
  { immutables }: Artifact,
  code: string,
  expected: string,
  own: ReadonlySet<string>,
): boolean {
  if (dataLength(code) !== dataLength(expected)) return false
  const ranges = immutables.map(({ start, length }) => [start, start + length] as const)
  const ownRanges = ranges.filter(([from, to]) => own.has(dataSlice(code, from, to)))
  const masked = (hex: string) => {
    const bytes = getBytesCopy(hex)
    for (const [from, to] of ownRanges) bytes.fill(0, from, to)
    return hexlify(bytes)
  }
  return masked(code) === masked(expected)
}

/**
 * Names of the contracts whose code on chain is not exactly what their creation with the book's arguments yields,
 * immutables included: absent, from other sources, or made with other arguments.
 */
export async function contractsThatDiffer(provider: Provider, book: AddressBook): Promise<DeployedName[]> {
  const differs = async ([name, { address, args }]: [DeployedName, BookEntry]) => {
    const artifact = loadArtifact(name)
    const code = await provider.getCode(address)
    if (code === '0x') return true
    const creation = concat([artifact.bytecode, artifact.abi.encodeDeploy(args)])
    // Creating it in a call has no effect and returns the code that would be stored.
    const expected = await provider.call({ from: book.deployer, data: creation }).catch(() => '0x')
    if (code === expected) return false
    const own = await ownWords(provider, artifact, address).catch(() => new Set<string>())
    return !isSameCode(artifact, code, expected, own)
  }
  const contracts = contractsOf(book)
  const verdicts = await Promise.all(contracts.map(differs))
  return contracts.flatMap(([name], index) => (verdicts[index] ? [name] : []))
}

async function failedCheck(provider: Provider, refs: Refs, check: Check): Promise<string | undefined> {
  const contract = new Contract(refs.addressOf(check.contract), loadArtifact(check.contract).abi, provider)
  const expected = check.expected(refs)
  try {
    const got = await check.read(contract, refs)
    return got === expected ? undefined : `${check.what}: ${got}, expected ${expected}`
  } catch (error) {
    return `${check.what}: ${error instanceof Error ? error.message : error}`
  }
}

/** The last look at a finished deployment: code, wiring, owners. Error: DEPLOYMENT_INVALID that lists every fault. */
export async function checkDeployment(provider: Provider, book: AddressBook, refs: Refs): Promise<void> {
  const differing = await contractsThatDiffer(provider, book)
  const checks = modulesOf(book).flatMap((module) => module.checks)
  const failures = await Promise.all(checks.map((check) => failedCheck(provider, refs, check)))
  const faults = [
    ...differing.map((name) => `${name}: the code at ${book.contracts[name]?.address} is not ours`),
    ...failures.filter((failure) => failure !== undefined),
  ]
  if (faults.length > 0) throw new ZerogError('DEPLOYMENT_INVALID', faults.join('; '), { meta: { faults } })
}
