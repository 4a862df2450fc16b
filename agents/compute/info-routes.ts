import { getAddress, MaxUint256 } from 'ethers'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import type { ModelGate } from '../../sdk/chain/models.ts'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { responseText } from '../../sdk/protocol/response-text.ts'
import { inferenceDomain, inferenceSigner } from '../../sdk/protocol/voucher.ts'
import type { HttpServer } from '../kernel/http.ts'
import { voucherSpareSec } from './config.ts'
import type { ComputeContext } from './context.ts'
import { receiptOf } from './receipt-book.ts'
import { readBody } from './request-steps.ts'
import { parseJsonBody } from './text-request.ts'
import { isVoucherFor } from './voucher-book.ts'

const amount = z
  .string()
  .regex(/^\d{1,78}$/, 'a whole number in decimal')
  .transform(BigInt)
const address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'an address')
  .transform((text) => getAddress(text.toLowerCase()))
const voucherSchema = z.strictObject({
  voucher: z.strictObject({
    user: address,
    provider: address,
    ceilingWei: amount,
    inputPriceWei: amount,
    outputPriceWei: amount,
    modelRoot: z.string().regex(/^0x[0-9a-fA-F]{64}$/, '32 bytes of hex'),
    validUntilSec: amount,
  }),
  signature: z.string().regex(/^0x[0-9a-fA-F]{130}$/, '65 bytes of hex'),
})

const REPORT_BYTES = 64
/** Anybody may send one. */
const MAX_VOUCHER_BYTES = 16 * 1024
/** What every store and every client can hold. */
const MAX_TIME_SEC = BigInt(Number.MAX_SAFE_INTEGER)

/** For a look at the model alone. */
const MAX_PRICES = { inputPriceWei: MaxUint256, outputPriceWei: MaxUint256 }

/** What is known without work of the model: models, signatures, quote, fees that wait, vouchers. */
export function addInfoRoutes(server: HttpServer, ctx: ComputeContext): void {
  const { config, self, runtime, receipts, vouchers } = ctx

  async function models() {
    const service = await ctx.accounts.service().catch(() => undefined)
    const gate = await ctx.gate.gate().catch(() => undefined)
    const served = runtime.state().state === 'ready' ? runtime.current() : undefined
    const inputPriceWei = service?.inputPriceWei ?? config.INPUT_PRICE_WEI
    const outputPriceWei = service?.outputPriceWei ?? config.OUTPUT_PRICE_WEI
    return {
      object: 'list',
      data: [
        {
          id: config.MODEL_ID,
          object: 'model',
          created: Number(service?.updatedAtSec ?? 0n),
          owned_by: self,
          canonical_id: config.MODEL_ID,
          type: served?.kind ?? null,
          ready: served !== undefined,
          context_length: served?.text?.contextTokens ?? null,
          max_completion_tokens: served?.text?.contextTokens ?? null,
          inputs: served?.worker.graph.inputs ?? [],
          outputs: served?.worker.graph.outputs ?? [],
          pricing: { prompt: String(inputPriceWei), completion: String(outputPriceWei) },
          verifiability: config.VERIFIABILITY,
          tee_attested: false,
          provider_type: 'decentralized',
          manifest_root: served?.folder.manifestRoot ?? null,
          gate: gate ? gateJson(gate) : null,
        },
      ],
    }
  }

  for (const prefix of ['/v1', '/v1/proxy']) {
    server.get(`${prefix}/models`, models)
    server.get(`${prefix}/models/*`, async (request: FastifyRequest<{ Params: { '*': string } }>) => {
      const { data } = await models()
      const found = data.find(({ id }) => id === request.params['*'])
      if (found) return found
      throw new ZerogError('COMPUTE_MODEL_UNKNOWN')
    })
  }

  server.get(
    '/v1/proxy/signature/:chatId',
    async (request: FastifyRequest<{ Params: { chatId: string } }>) => {
      const booked = receipts.find(request.params.chatId)
      if (!booked) throw new ZerogError('NOT_FOUND', 'no response has this id')
      return {
        text: responseText(booked),
        signature: booked.signature,
        signing_address: booked.signer,
        signing_algo: 'ecdsa',
        receipt: receiptOf(booked),
      }
    },
  )

  const reportData = () => {
    const bytes = Buffer.alloc(REPORT_BYTES)
    bytes.write(self, 'ascii')
    return bytes.toString('base64')
  }
  // Without attested hardware there is nothing to quote; the fields are there for clients that look at the signer.
  server.get('/v1/quote', async () => ({
    quote: '',
    event_log: '',
    report_data: reportData(),
    tcb_info: {},
    provider_signer: self,
  }))
  server.get('/v1/proxy/attestation/report', async () => ({
    signing_address: self,
    intel_quote: '',
    nvidia_payload: '',
  }))

  server.get(
    '/v1/user/:address/unsettledfee',
    async (request: FastifyRequest<{ Params: { address: string } }>) => {
      const { user } = await ctx.checkSession(request.headers.authorization)
      if (user.toLowerCase() !== request.params.address.toLowerCase())
        throw new ZerogError('FORBIDDEN', 'the API key belongs to another account')
      return { unsettledFee: String(receipts.unsettledWei(user)) }
    },
  )

  server.post('/v1/voucher', { bodyLimit: MAX_VOUCHER_BYTES }, async (request) => {
    const { voucher, signature } = voucherSchema.parse(parseJsonBody(readBody(request)))
    const domain = inferenceDomain(ctx.chainId, ctx.chain.compute.addresses.InferenceServing)
    // A contract account's voucher can only be judged on chain: it posts that one itself.
    if (inferenceSigner(domain, { type: 'Voucher', message: voucher }, signature) !== voucher.user)
      throw new ZerogError('SIGNATURE_INVALID', 'the voucher is not signed by its user')
    if (voucher.provider !== self)
      throw new ZerogError('BAD_REQUEST', `the voucher is for ${voucher.provider}, this is ${self}`)
    const spareSec = voucherSpareSec(config)
    if (voucher.validUntilSec > MAX_TIME_SEC)
      throw new ZerogError('BAD_REQUEST', `a voucher is valid until the second ${MAX_TIME_SEC} at most`)
    if (Number(voucher.validUntilSec) <= Date.now() / 1000)
      throw new ZerogError('BAD_REQUEST', 'the voucher has expired')
    if (Number(voucher.validUntilSec) <= Date.now() / 1000 + spareSec)
      throw new ZerogError('BAD_REQUEST', `the voucher must be valid for more than ${spareSec} s`)
    const service = { ...(await ctx.accounts.service()), manifestRoot: runtime.current().folder.manifestRoot }
    if (!isVoucherFor({ ...voucher, ...MAX_PRICES }, service))
      throw new ZerogError('COMPUTE_MODEL_UNKNOWN', 'the voucher is for another model')
    if (!isVoucherFor(voucher, service))
      throw new ZerogError('PRICE_TOO_LOW', 'the prices of the voucher are below those of the service')
    const { user, ceilingWei } = voucher
    const account = await ctx.accounts.read(user)
    if (account === undefined) throw new ZerogError('COMPUTE_BALANCE_TOO_LOW', `${user} has no account here`)
    // The first voucher ends open mode: what was served in it must fit below, or nobody would pay it.
    const owedWei = account.settledWei + receipts.unsettledWei(user) + ctx.admission.reservedWei(user)
    if (account.ceilingWei === 0n && ceilingWei < owedWei)
      throw new ZerogError(
        'COMPUTE_BALANCE_TOO_LOW',
        `the ceiling of ${ceilingWei} wei is below the ${owedWei} wei settled, owed and under way`,
        { meta: { availableWei: ceilingWei, neededWei: owedWei } },
      )
    if (ceilingWei > account.ceilingWei) vouchers.keep({ voucher, signature })
    return {
      ceilingWei: vouchers.ceilingWei(user, account.ceilingWei, service),
      settledWei: account.settledWei,
    }
  })
}

function gateJson({ kind, token, tokenId, minBalance, freeUnits, quotaPeriodBlocks }: ModelGate) {
  return {
    ...{ kind, token },
    token_id: String(tokenId),
    min_balance: String(minBalance),
    free_units: String(freeUnits),
    quota_period_blocks: String(quotaPeriodBlocks),
  }
}
