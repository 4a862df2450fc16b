import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Interface, type InterfaceAbi } from 'ethers'
import { CHECKOUT } from '../agents/cli/checkout.ts'
import type { DeployedName } from '../sdk/chain/address-book.ts'
import { ZerogError } from '../sdk/protocol/errors.ts'

/** Source file of every contract that a deployment consists of. */
const SOURCES = {
  Beacon: 'contracts/staking/Beacon.sol',
  OperatorRegistry: 'contracts/staking/OperatorRegistry.sol',
  Staking: 'contracts/staking/Staking.sol',
  StorageStreams: 'contracts/storage/StorageStreams.sol',
  StorageProver: 'contracts/storage/StorageProver.sol',
  StorageMarket: 'contracts/storage/StorageMarket.sol',
  Flow: 'contracts/storage/Flow.sol',
  DaCommittee: 'contracts/da/DaCommittee.sol',
  DataAvailability: 'contracts/da/DataAvailability.sol',
  DaProver: 'contracts/da/DaProver.sol',
  DaCourt: 'contracts/da/DaCourt.sol',
  InferenceCatalog: 'contracts/compute/InferenceCatalog.sol',
  LedgerManager: 'contracts/compute/LedgerManager.sol',
  InferenceServing: 'contracts/compute/InferenceServing.sol',
  ModelRegistry: 'contracts/compute/ModelRegistry.sol',
  JobEscrow: 'contracts/compute/JobEscrow.sol',
} as const satisfies Record<DeployedName, string>

/** What the compiler made of a contract. */
export type Artifact = {
  contractName: DeployedName
  sourceName: string
  abi: Interface
  bytecode: string
  deployedBytecode: string
  /** Byte ranges of the deployed code that the constructor fills in. */
  immutables: readonly { start: number; length: number }[]
}

type ArtifactFile = {
  abi: InterfaceAbi
  bytecode: string
  deployedBytecode: string
  immutableReferences: Record<string, { start: number; length: number }[]>
}

/** Reads the compiled contract. Errors: CONFIG_INVALID when the contracts have not been built. */
export function loadArtifact(contractName: DeployedName): Artifact {
  const sourceName = SOURCES[contractName]
  const path = join(CHECKOUT, 'artifacts', sourceName, `${contractName}.json`)
  if (!existsSync(path)) {
    throw new ZerogError('CONFIG_INVALID', `${contractName} has not been compiled: run npm run build`)
  }
  const file = JSON.parse(readFileSync(path, 'utf8')) as ArtifactFile
  return {
    contractName,
    sourceName,
    abi: new Interface(file.abi),
    bytecode: file.bytecode,
    deployedBytecode: file.deployedBytecode,
    immutables: Object.values(file.immutableReferences).flat(),
  }
}
