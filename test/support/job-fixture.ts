import assert from 'node:assert/strict'
import { type AddressLike, type ContractTransactionResponse, id, ZeroAddress } from 'ethers'
import { loadHasher } from '../../sdk/protocol/hasher.ts'
import {
  describeJobOutput,
  type JobDelivery,
  type JobHeader,
  jobKind,
  jobOutputKey,
  wrapJobOutput,
} from '../../sdk/protocol/job-output.ts'
import {
  IInferenceServing__factory,
  InferenceCatalog__factory,
  InferenceServing__factory,
  JobEscrow__factory,
  LedgerManager__factory,
  ModelRegistry__factory,
} from '../../typechain-types/index.js'
import type { TestSigner } from './chain.ts'
import { randomBytes } from './content.ts'
import { PARAMS as INFERENCE_PARAMS } from './inference-fixture.ts'
import { shardFile } from './sharded-file.ts'
import { sealFile, submitFile } from './storage-deal.ts'
import { deployStorage } from './storage-fixture.ts'

const hasher = await loadHasher()

/** Windows so long that a slow machine cannot run out of them. */
export const JOB_PARAMS = {
  bondBps: 2_000n,
  arbiterBps: 3_000n,
  stepBps: 100n,
  challengeSec: 20_000n,
  arbiterSec: 30_000n,
  minWorkSec: 10_000n,
  maxDurationSec: 604_800n,
  minBondWei: 1_000n,
}

export const MODEL = 'digits'
export const JOB_STATE = {
  None: 0n,
  Open: 1n,
  Assigned: 2n,
  Delivered: 3n,
  Disputed: 4n,
  Settled: 5n,
  Refunded: 6n,
  TimedOut: 7n,
}
export const JOB_OUTCOME = {
  Accepted: 1n,
  Unchallenged: 2n,
  ForProvider: 3n,
  ForClient: 4n,
  Cancelled: 5n,
  Untaken: 6n,
  Late: 7n,
  ArbiterSilent: 8n,
}

/** What jobs under test ask for; the deadline is counted from the opening. */
export type JobWish = Partial<Omit<ReturnType<typeof wishedTerms>, 'deadlineSec'>> & { durationSec?: bigint }

/** A job of three million wei at most: a service of 2 wei in and 3 out asks 2 x 100,000 + 3 x 500,000 = 1,700,000. */
function wishedTerms(deadlineSec: bigint) {
  return {
    provider: ZeroAddress,
    maxPriceWei: 3_000_001n,
    modelHash: id(MODEL),
    modelRoot: id('model root'),
    inputRoot: id('input root'),
    kind: jobKind('batch-inference'),
    arbiter: ZeroAddress,
    verificationMode: 0n,
    bidWindowSec: 5_000n,
    deadlineSec,
    inputUnits: 100_000n,
    minUnits: 10n,
    maxUnits: 500_000n,
    maxOutputBytes: 1_000_000n,
    minStoragePeriods: 3n,
    params: '0x7b7d',
  }
}

/** Bond of either side of the default job: a fifth, rounded up. */
export const BOND_WEI = 600_001n

/** What a seller with `{ inputPrice, outputPrice }` asks for the default job. */
export const priceOf = ({ inputPrice, outputPrice }: { inputPrice: bigint; outputPrice: bigint }) =>
  inputPrice * 100_000n + outputPrice * 500_000n

export type Jobs = Awaited<ReturnType<typeof createJobs>>

/** Storage, staking, inference and the escrow, all real, and what their tests do with them. */
export async function createJobs() {
  const system = await deployStorage()
  const { deployer, owner, staking, registry, beacon, market, chain } = system
  const ledger = await new LedgerManager__factory(deployer).deploy(owner, 1_000n, 10n)
  const models = await new ModelRegistry__factory(deployer).deploy()
  const catalog = await new InferenceCatalog__factory(deployer).deploy(
    owner,
    staking,
    models,
    INFERENCE_PARAMS,
  )
  const core = await new InferenceServing__factory(deployer).deploy(
    owner,
    ledger,
    staking,
    catalog,
    INFERENCE_PARAMS,
  )
  await staking.connect(owner).registerService(core, 0, id('compute'), 100n)
  const serving = IInferenceServing__factory.connect(await core.getAddress(), deployer)
  const client = chain.signer(0)
  const arbiter = chain.signer(6)
  const escrow = await new JobEscrow__factory(deployer).deploy(
    owner,
    beacon,
    market,
    staking,
    serving,
    JOB_PARAMS,
    arbiter,
  )
  const escrowAddress = await escrow.getAddress()

  const latest = async () => {
    const block = await chain.ethers.provider.getBlock('latest')
    assert.ok(block)
    return BigInt(block.timestamp)
  }
  /** The next transaction comes at this second. */
  const at = (sec: bigint) =>
    chain.provider.request({ method: 'evm_setNextBlockTimestamp', params: [Number(sec)] })

  /** Registers, stakes and lists a service at these prices. */
  async function newSeller(index: number, prices = { inputPrice: 2n, outputPrice: 3n }, model = MODEL) {
    const operator = chain.signer(index)
    await registry.connect(operator).register('')
    await staking.connect(operator).stake({ value: INFERENCE_PARAMS.minProviderStakeWei })
    await staking.connect(operator).allocate(serving, INFERENCE_PARAMS.minProviderStakeWei)
    await announce(operator, prices, model)
    return operator
  }

  const announce = (
    operator: TestSigner,
    { inputPrice, outputPrice }: { inputPrice: bigint; outputPrice: bigint },
    model = MODEL,
  ) =>
    serving.connect(operator).addOrUpdateService({
      ...{ serviceType: 'chatbot', url: 'https://provider.example', model, verifiability: 'OpML' },
      ...{ inputPrice, outputPrice, additionalInfo: '{}', teeSignerAddress: operator.address },
    })

  async function termsFor({ durationSec = 100_000n, ...wish }: JobWish = {}) {
    return { ...wishedTerms((await latest()) + durationSec), ...wish }
  }

  async function open(wish: JobWish = {}, from: TestSigner = client): Promise<bigint> {
    const terms = await termsFor(wish)
    const value = terms.maxPriceWei + (await escrow.bondFor(terms.maxPriceWei))
    await escrow.connect(from).open(terms, { value })
    return escrow.jobCount()
  }

  async function bid(jobId: bigint, operator: TestSigner) {
    const { bondWei, termsHash } = await escrow.jobOf(jobId)
    return escrow.connect(operator).bid(jobId, termsHash, { value: bondWei })
  }

  /** The header that the job asks of this provider. */
  async function headerFor(
    jobId: bigint,
    provider: string,
  ): Promise<Omit<JobHeader, 'bodyBytes' | 'bodySha256'>> {
    const { terms } = await escrow.jobOf(jobId)
    const { modelRoot, inputRoot, kind } = terms
    const key = jobOutputKey({ chainId: system.chainId, escrow: escrowAddress, jobId, provider })
    return { key, modelRoot, inputRoot, kind, units: 1_000n }
  }

  async function outputFor(jobId: bigint, provider: string, bytes = 5_000, changed: Partial<JobHeader> = {}) {
    const header = await headerFor(jobId, provider)
    return wrapJobOutput({ ...header, ...changed }, randomBytes(bytes, Number(jobId)))
  }

  /** Submits and, unless told otherwise, seals an output; what delivers it. */
  async function store(
    output: Uint8Array,
    { isSealed = true, termPeriods }: { isSealed?: boolean; termPeriods?: bigint } = {},
  ): Promise<JobDelivery & { root: string }> {
    const file = shardFile(output)
    const txSeq = isSealed
      ? (await sealFile(system, file, termPeriods === undefined ? {} : { termPeriods })).txSeq
      : await submitFile(system, file)
    return { txSeq, ...describeJobOutput(hasher, output) }
  }

  const struct = (delivery: JobDelivery) => ({
    ...delivery,
    nodes: [...delivery.nodes],
    path: [...delivery.path],
  })

  /** Lets the bid window pass. */
  async function afterBids(jobId: bigint) {
    const { bidsUntilSec } = await escrow.jobOf(jobId)
    if (bidsUntilSec > (await latest())) await at(bidsUntilSec)
  }

  return {
    ...system,
    ledger,
    serving,
    client,
    arbiter,
    escrow,
    escrowAddress,
    latest,
    at,
    newSeller,
    announce,
    termsFor,
    open,
    bid,
    headerFor,
    outputFor,
    store,
    struct,
    afterBids,
    /** A job that `operator` has taken and nobody can outbid any more. */
    async openFirm(operator: TestSigner, wish: JobWish = {}) {
      const jobId = await open({ provider: operator.address, bidWindowSec: 0n, ...wish })
      await bid(jobId, operator)
      return jobId
    },
    /** A job with a good output, delivered. */
    async openDelivered(operator: TestSigner, wish: JobWish = {}) {
      const jobId = await this.openFirm(operator, wish)
      const delivery = await store(await outputFor(jobId, operator.address))
      await escrow.connect(operator).deliver(jobId, struct(delivery))
      return { jobId, delivery }
    },
    creditsOf: (...accounts: AddressLike[]) =>
      Promise.all(accounts.map((account) => escrow.creditOf(account))),
    /** Laws 1 and 2: what jobs hold, what accounts are owed, and what the escrow has. */
    async assertConserved(accounts: readonly string[]) {
      let heldWei = 0n
      for (let jobId = await escrow.jobCount(); jobId > 0n; jobId--) {
        const { state, terms, bondWei } = await escrow.jobOf(jobId)
        if (state >= JOB_STATE.Settled) continue
        heldWei += terms.maxPriceWei + bondWei * (state === JOB_STATE.Open ? 1n : 2n)
      }
      const credits = await Promise.all(accounts.map((account) => escrow.creditOf(account)))
      const creditsWei = credits.reduce((sum, wei) => sum + wei, 0n)
      assert.deepEqual([...(await escrow.vault())], [heldWei, creditsWei])
      assert.equal(await chain.ethers.provider.getBalance(escrowAddress), heldWei + creditsWei)
    },
    /** The arguments of the only event of this name that a transaction emits, by name. */
    async emitted(transaction: Promise<ContractTransactionResponse>, name: string) {
      const receipt = await (await transaction).wait()
      const found = (receipt?.logs ?? [])
        .map((log) => escrow.interface.parseLog(log))
        .filter((log) => log?.name === name)
      const [event] = found
      assert.ok(event && found.length === 1, `${found.length} events ${name}`)
      return event.args.toObject() as Record<string, unknown>
    },
  }
}
