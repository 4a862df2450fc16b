import { getAddress } from 'ethers'
import { z } from 'zod'
import { ZerogError } from '../protocol/errors.ts'

/** The contracts an address book must name. */
export const CONTRACT_NAMES = [
  'Beacon',
  'OperatorRegistry',
  'Staking',
  'StorageStreams',
  'StorageProver',
  'StorageMarket',
  'Flow',
] as const

export type ContractName = (typeof CONTRACT_NAMES)[number]

/** The contracts of data availability; books of chains without it lack them all. */
export const DA_CONTRACT_NAMES = ['DaCommittee', 'DataAvailability', 'DaProver', 'DaCourt'] as const

export type DaContractName = (typeof DA_CONTRACT_NAMES)[number]

/** The contracts of compute; books of earlier deployments lack them all. */
export const COMPUTE_CONTRACT_NAMES = [
  'ModelRegistry',
  'InferenceCatalog',
  'LedgerManager',
  'InferenceServing',
  'JobEscrow',
] as const

export type ComputeContractName = (typeof COMPUTE_CONTRACT_NAMES)[number]

/** Any contract that a deployment may consist of. */
export type DeployedName = ContractName | DaContractName | ComputeContractName

const hash = z.string().regex(/^0x[0-9a-fA-F]{64}$/, 'expected 0x and 64 hex digits')
const blockNumber = z.number().int().nonnegative()

const entry = z.object({
  address: z
    .string()
    .regex(/^0x[0-9a-fA-F]{40}$/, 'expected 0x and 40 hex digits')
    .transform((text, context) => {
      try {
        return getAddress(text)
      } catch {
        context.addIssue({ code: 'custom', message: 'the checksum of the address is wrong' })
        return z.NEVER
      }
    }),
  block: blockNumber,
  txHash: hash.optional(),
})

/**
 * Shape of `deploy/addresses/<chainId>.json`, schema 1. Fields not listed (constructor arguments, later contracts) are
 * for other readers and dropped here. `deployedAtBlock` is the first block whose logs matter.
 */
export const addressBookSchema = z.object({
  schema: z.literal(1),
  chainId: z.union([z.number().int().positive(), z.string().regex(/^\d+$/)]).transform((id) => BigInt(id)),
  network: z.string().min(1),
  genesisHash: hash.optional(),
  deployedAtBlock: blockNumber,
  contracts: z.object({
    Beacon: entry,
    OperatorRegistry: entry,
    Staking: entry,
    StorageStreams: entry,
    StorageProver: entry,
    StorageMarket: entry,
    Flow: entry,
    DaCommittee: entry.optional(),
    DataAvailability: entry.optional(),
    DaProver: entry.optional(),
    DaCourt: entry.optional(),
    InferenceCatalog: entry.optional(),
    LedgerManager: entry.optional(),
    InferenceServing: entry.optional(),
    ModelRegistry: entry.optional(),
    JobEscrow: entry.optional(),
  } satisfies Record<ContractName, typeof entry> &
    Record<DaContractName | ComputeContractName, z.ZodOptional<typeof entry>>),
})

/** Where the contracts of one deployment are; `chainId` is a bigint, addresses are checksummed. */
export type AddressBook = z.output<typeof addressBookSchema>

/**
 * Checks an address book read from JSON.
 *
 * Errors: ADDRESS_BOOK_INVALID with `meta.issues` and a message that lists every field at fault.
 */
export function parseAddressBook(json: unknown): AddressBook {
  const result = addressBookSchema.safeParse(json)
  if (result.success) return result.data
  const issues = result.error.issues.map((issue) => `${issue.path.join('.') || 'book'}: ${issue.message}`)
  throw new ZerogError('ADDRESS_BOOK_INVALID', `the address book is not usable: ${issues.join('; ')}`, {
    meta: { issues },
  })
}
