import { id } from 'ethers'
import { loadNodeKzg } from '../../sdk/client/kzg-node.ts'
import { type BlobHeader, blobIdOf, signHeader } from '../../sdk/protocol/blob-header.ts'
import { BLOB_BYTES, COLUMNS, ELEMENT_BYTES } from '../../sdk/protocol/cell-layout.ts'
import {
  cellPath,
  cellsLevels,
  columnLevels,
  columnRoot,
  commitmentLevels,
  treePath,
  treeRoot,
} from '../../sdk/protocol/cell-tree.ts'
import { attestationDigest, daDomain } from '../../sdk/protocol/da-typed-data.ts'
import { loadHasher } from '../../sdk/protocol/hasher.ts'
import { toHex } from '../../sdk/protocol/hex.ts'
import type { CellEvidence, PublishedCell } from '../../sdk/protocol/kzg-cell.ts'
import {
  DaCommittee__factory,
  DaCourt__factory,
  DaProver__factory,
  DataAvailability__factory,
} from '../../typechain-types/index.js'
import { signTogether } from './bls-keys.ts'
import { addMembers, deployCommittee, formNextEpoch, type Member } from './committee-fixture.ts'
import { at, randomBytes } from './content.ts'

const SELF = 0
const DELEGATED = 1
const ETHER = 10n ** 18n

export const BOND_WEI = 8n * ETHER
export const COURT_PARAMS = { attesterSlashBps: 2_000n, reporterBps: 3_000n }

const DA_PARAMS = {
  pricePerBlobPeriodWei: 1_000n,
  bondWei: BOND_WEI,
  softColumns: 86,
  softAdversary: 21,
  finalColumns: 107,
  finalAdversary: 42,
  confirmBlocks: 24,
  minRetentionPeriods: 3,
  maxRetentionPeriods: 8,
  bucketPeriods: 2,
  disputePeriods: 3,
  maintenanceBps: 500,
  unconfirmedBps: 100,
}

const PROVER_PARAMS = {
  targetDraws: 4,
  windowBlocks: 8,
  missSlashBps: 1_000,
  strikeWindowPeriods: 4,
  reporterBps: 3_000,
  bountyWei: 0n,
}

/** Everything of data availability, real and wired, with a formed committee and a bonded disperser. */
export async function deployCourt(stakesWei: readonly bigint[]) {
  const base = await deployCommittee({ exitDelayEpochs: 10n })
  const { deployer, beacon, registry, staking, params, epochBlocks } = base
  const committee = await new DaCommittee__factory(deployer).deploy(beacon, staking, params)
  const da = await new DataAvailability__factory(deployer).deploy(beacon, staking, committee, DA_PARAMS)
  const prover = await new DaProver__factory(deployer).deploy(beacon, committee, da, PROVER_PARAMS)
  const court = await new DaCourt__factory(deployer).deploy(beacon, staking, committee, da, COURT_PARAMS)
  await committee.wire(da, prover, court)
  await da.wire(prover, court)
  const faultWindowBlocks = epochBlocks * params.exitDelayEpochs
  await staking.registerService(committee, DELEGATED, id('da'), faultWindowBlocks)
  await staking.registerService(da, SELF, id('disperser'), faultWindowBlocks)

  const committeeAddress = await committee.getAddress()
  const members = await addMembers({ ...base, committee, committeeAddress }, stakesWei)
  const disperser = base.chain.signer(8)
  await registry.connect(disperser).register('')
  await staking.connect(disperser).stake({ value: 2n * BOND_WEI })
  await staking.connect(disperser).allocate(da, 2n * BOND_WEI)
  const epoch = await formNextEpoch({ ...base, committee, committeeAddress })
  const daAddress = await da.getAddress()
  return {
    ...base,
    committee,
    committeeAddress,
    da,
    daAddress,
    prover,
    court,
    members,
    disperser,
    epoch,
    reporter: base.chain.signer(9),
  }
}

export type CourtSystem = Awaited<ReturnType<typeof deployCourt>>
export type Matrix = { commitments: Uint8Array[]; columns: { proof: Uint8Array; cell: Uint8Array }[][] }
export type Published = Awaited<ReturnType<typeof publish>>

/** A blob of random elements. */
export function randomBlob(seed: number): Uint8Array {
  const blob = randomBytes(BLOB_BYTES, seed)
  for (let i = 0; i < BLOB_BYTES; i += ELEMENT_BYTES) blob[i] = 0
  return blob
}

/** Commitments, cells and proofs of these blobs. */
export async function encodeMatrix(blobs: readonly Uint8Array[]): Promise<Matrix> {
  const engine = await loadNodeKzg()
  const encoded = await Promise.all(blobs.map((blob) => engine.encode(blob)))
  return {
    commitments: encoded.map(({ commitment }) => commitment),
    columns: Array.from({ length: COLUMNS }, (_, k) =>
      encoded.map(({ cells, proofs }) => ({ proof: at(proofs, k), cell: at(cells, k) })),
    ),
  }
}

/** A header over this matrix, true or not, as it would stand on chain. */
export async function headerOf(
  { da, beacon, chainId, disperser, epoch }: CourtSystem,
  { commitments, columns }: Matrix,
  nonce: bigint,
): Promise<BlobHeader> {
  const hasher = await loadHasher()
  const period = await beacon.currentPeriod()
  const expiresAt = period + 5n + ((period + 5n) % 2n)
  return {
    version: 1,
    chainId,
    da: await da.getAddress(),
    disperser: disperser.address,
    epoch,
    nonce,
    blobCount: commitments.length,
    payloadBytes: commitments.length * 126_976 - 31,
    payloadHash: toHex(hasher.keccak256(new Uint8Array([Number(nonce)]))),
    commitmentsRoot: toHex(treeRoot(commitmentLevels(hasher, commitments))),
    cellsRoot: toHex(
      treeRoot(
        cellsLevels(
          hasher,
          columns.map((cells, k) => columnRoot(hasher, k, cells)),
        ),
      ),
    ),
    expiresAt,
  }
}

/** Puts a matrix on chain under the disperser's signature; its leaves come with their paths. */
export async function publish(system: CourtSystem, matrix: Matrix, nonce: bigint) {
  const hasher = await loadHasher()
  const { commitments, columns } = matrix
  const header = await headerOf(system, matrix, nonce)
  const { signature } = await signHeader(system.disperser, header)
  await system.da.connect(system.disperser).submit(header, signature, { value: ETHER })
  const blobId = blobIdOf(header)
  const roots = columns.map((cells, k) => columnRoot(hasher, k, cells))
  const upper = cellsLevels(hasher, roots)
  const lower = commitmentLevels(hasher, commitments)
  return {
    header,
    signature,
    blobId,
    leaf(blobIndex: number, column: number) {
      const cells = at(columns, column)
      const within = treePath(columnLevels(hasher, column, cells), blobIndex)
      const path = cellPath(within, treePath(upper, column))
      return { blobId, blobIndex, column, ...at(cells, blobIndex), path }
    },
    commitmentLeaf: (blobIndex: number) => ({
      commitment: at(commitments, blobIndex),
      path: treePath(lower, blobIndex),
    }),
    claim: (blobIndex: number, column: number): PublishedCell => ({
      blobId,
      blobIndex,
      column,
      ...at(at(columns, column), blobIndex),
      commitment: at(commitments, blobIndex),
    }),
  }
}

/** Attests a blob with these members' keys and confirms it. */
export async function confirmBlob(
  system: CourtSystem,
  blobId: string,
  slots: readonly number[],
): Promise<void> {
  const { da, epoch, chainId } = system
  const attested = attest(system, blobId, slots)
  await da.confirm({ chainId, epoch, blobId, ...attested })
}

/** Signers and aggregate of the members in these slots over one blob. */
export function attest(
  { members, epoch, chainId, daAddress }: CourtSystem,
  blobId: string,
  slots: readonly number[],
): { signers: bigint; signature: string } {
  const digest = attestationDigest(daDomain(chainId, daAddress), { blobId, epoch })
  return {
    signers: slots.reduce((bits, slot) => bits | (1n << BigInt(slot)), 0n),
    signature: signTogether(
      slots.map((slot) => at<Member>(members, slot).key),
      digest,
    ),
  }
}

/** Evidence as contracts take it. */
export function evidenceHex({ commitmentY, proofY, interpolant, opening }: CellEvidence) {
  return {
    commitmentY: toHex(commitmentY),
    proofY: toHex(proofY),
    interpolant: toHex(interpolant),
    opening: toHex(opening),
  }
}
