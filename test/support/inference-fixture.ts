import { type BytesLike, id, type Signer, Wallet, ZeroHash } from 'ethers'
import { type Receipt, requestsHash } from '../../sdk/protocol/receipt.ts'
import {
  inferenceDomain,
  type Release,
  signInferenceMessage,
  type Voucher,
} from '../../sdk/protocol/voucher.ts'
import {
  IInferenceServing__factory,
  InferenceCatalog__factory,
  InferenceServing__factory,
  LedgerManager__factory,
  ModelRegistry__factory,
} from '../../typechain-types/index.js'
import { createFixture, ETHER, SELF } from '../contracts/staking/fixture.ts'

export const SERVICE_NAME = 'inference-v1.0'
export const MIN_ACCOUNT_WEI = ETHER / 100n
export const MIN_TRANSFER_WEI = ETHER / 1000n
export const CHAIN_ID = 31_337n
export const DAY_SEC = 86_400n

/** Windows so long that a slow machine cannot run out of them: blocks carry the time of day plus what `later` adds. */
export const PARAMS = {
  minProviderStakeWei: 10n * ETHER,
  faultSlashWei: 2n * ETHER,
  defaultDailyCapWei: ETHER,
  lockSec: 60_000n,
  noticeSec: 30_000n,
  challengeSec: 12_000n,
  answerSec: 6_000n,
  userBps: 5_000n,
}

/** What a service announces unless a test says otherwise: 2 wei a token in, 3 wei a token out. */
export const TERMS = {
  serviceType: 'chatbot',
  url: 'https://provider.example',
  model: 'digits',
  verifiability: 'OpML',
  inputPrice: 2n,
  outputPrice: 3n,
  additionalInfo: '{}',
}

export type Inference = Awaited<ReturnType<typeof createInference>>

/** A provider and the key that its service signs with. */
export type Seller = { address: string; tee: Wallet }

/** Ledger and inference over a real staking contract, and what their tests do with them. */
export async function createInference() {
  const base = await createFixture()
  const { owner, staking, ethers, provider: rpc } = base
  const ledger = await new LedgerManager__factory(owner).deploy(owner, MIN_ACCOUNT_WEI, MIN_TRANSFER_WEI)
  const models = await new ModelRegistry__factory(owner).deploy()
  const catalog = await new InferenceCatalog__factory(owner).deploy(owner, staking, models, PARAMS)
  const core = await new InferenceServing__factory(owner).deploy(owner, ledger, staking, catalog, PARAMS)
  const address = await core.getAddress()
  const serving = IInferenceServing__factory.connect(address, owner)
  await ledger.registerService('inference', 'v1.0', address, 'inference')
  await staking.registerService(address, SELF, id('compute'), 100n)
  const domain = inferenceDomain(CHAIN_ID, address)

  const latest = async () => {
    const block = await ethers.provider.getBlock('latest')
    if (block === null) throw new Error('the chain has no block')
    return BigInt(block.timestamp)
  }

  return {
    ...base,
    rpc,
    ledger,
    models,
    catalog,
    core,
    serving,
    address,
    domain,
    latest,
    /** Lets `seconds` pass; the next transaction comes after them. */
    async later(seconds: bigint) {
      await rpc.request({ method: 'evm_increaseTime', params: [Number(seconds)] })
      await rpc.request({ method: 'evm_mine', params: [] })
    },
    /** Goes to the first second of the next UTC day. */
    async nextDay() {
      const at = ((await latest()) / DAY_SEC + 1n) * DAY_SEC
      await rpc.request({ method: 'evm_setNextBlockTimestamp', params: [Number(at)] })
      await rpc.request({ method: 'evm_mine', params: [] })
    },
    /** A staked provider with a listed service and a signing key of its own. */
    async newSeller(index: number, terms: Partial<typeof TERMS> = {}) {
      const operator = await base.newOperator(index)
      await staking.connect(operator).stake({ value: PARAMS.minProviderStakeWei })
      await staking.connect(operator).allocate(address, PARAMS.minProviderStakeWei)
      const tee = new Wallet(id(`tee ${index}`))
      const announce = (changed: Partial<typeof TERMS & { teeSignerAddress: string }> = {}) =>
        serving
          .connect(operator)
          .addOrUpdateService({ ...TERMS, ...terms, teeSignerAddress: tee.address, ...changed })
      await announce()
      return { operator, address: operator.address, tee, announce, serving: serving.connect(operator) }
    },
    /** Account `index` with `amountWei` at the provider, and as much again in its ledger. */
    async newBuyer(index: number, provider: string, amountWei = ETHER) {
      const user = base.signer(index)
      await ledger.connect(user).depositFund({ value: 2n * amountWei })
      await ledger.connect(user).transferFund(provider, SERVICE_NAME, amountWei)
      return user
    },
    settlement: (
      seller: Seller,
      item: { user: string; totalFee: bigint; nonce: bigint; requestsHash?: string; provider?: string },
    ) => signedSettlement(domain, seller, item),
    voucher: async (user: Signer, changed: Partial<Voucher> & Pick<Voucher, 'provider' | 'ceilingWei'>) => {
      const message: Voucher = {
        user: await user.getAddress(),
        inputPriceWei: 2n,
        outputPriceWei: 3n,
        modelRoot: ZeroHash,
        validUntilSec: 4_000_000_000n,
        ...changed,
      }
      const signature = await signInferenceMessage(user, domain, { type: 'Voucher', message })
      return { message, signature }
    },
    release: async (provider: Signer, message: Release) => ({
      message,
      signature: await signInferenceMessage(provider, domain, { type: 'Release', message }),
    }),
  }
}

/** A settlement as `settleFeesWithTEE` takes it, signed by the seller's key for `domain`. */
export async function signedSettlement(
  domain: ReturnType<typeof inferenceDomain>,
  seller: Seller,
  item: { user: string; totalFee: bigint; nonce: bigint; requestsHash?: string; provider?: string },
) {
  const message = { requestsHash: id('receipts'), provider: seller.address, ...item }
  const signature: BytesLike = await signInferenceMessage(seller.tee, domain, {
    type: 'TEESettlement',
    message,
  })
  return { ...message, signature }
}

/** A receipt of `TERMS`: what it costs follows from its units unless `changed` says otherwise. */
export function receiptOf(nonce: bigint, changed: Partial<Receipt> = {}): Receipt {
  const inputUnits = changed.inputUnits ?? 10n
  const outputUnits = changed.outputUnits ?? 20n
  return {
    requestHash: id(`request ${nonce}`),
    responseHash: id(`response ${nonce}`),
    modelHash: id(TERMS.model),
    inputUnits,
    outputUnits,
    feeWei: inputUnits * TERMS.inputPrice + outputUnits * TERMS.outputPrice,
    priceEpoch: 0n,
    nonce,
    traceRoot: ZeroHash,
    ...changed,
  }
}

/** What a settlement of `receipts` claims; its nonce is the last one. */
export function claimOf(receipts: readonly Receipt[]) {
  const { hash, sumWei } = requestsHash(receipts)
  return { requestsHash: hash, totalFee: sumWei, nonce: receipts.at(-1)?.nonce ?? 1n }
}
