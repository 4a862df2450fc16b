import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { Wallet } from 'ethers'
import { fastify } from 'fastify'
import type { ComputeContext } from '../../../agents/compute/context.ts'
import { openReleaseBook } from '../../../agents/compute/release-book.ts'
import { addReleaseRoute } from '../../../agents/compute/release-route.ts'
import type { HttpServer } from '../../../agents/kernel/http.ts'
import { toJson } from '../../../agents/kernel/http.ts'
import { openStore } from '../../../agents/kernel/store.ts'
import { inferenceDomain, inferenceSigner, type Release } from '../../../sdk/protocol/voucher.ts'
import { tempDir } from '../../support/temp-dir.ts'

const USER = `0x${'11'.repeat(20)}`
const SERVING = `0x${'22'.repeat(20)}`
const CHAIN_ID = 31_337n
const BALANCE_WEI = 100n

/**
 * The route on a chain that shows a balance of 100 wei; `unsettled` is what the receipts owe, and `settled` after the balance was
 * read. Only a chain that answers at will lets a settlement fall between the reads each time.
 */
async function release({ unsettled, settled = unsettled }: { unsettled: bigint; settled?: bigint }) {
  const wallet = Wallet.createRandom()
  let owedWei = unsettled
  const inference = {
    getAccount: async () => ({ balance: BALANCE_WEI, pendingRefund: 0n }),
    maxPriceOf: async () => ({}),
    dailyCapOf: async () => ({}),
    ceilingOf: async () => 0n,
    settledOf: async () => 0n,
    releaseNonceOf: async () => 0n,
  }
  const getBlock = async () => {
    owedWei = settled
    return { timestamp: 1_000 }
  }
  const ctx = {
    chain: { compute: { inference, addresses: { InferenceServing: SERVING } } },
    chainId: CHAIN_ID,
    ...{ self: wallet.address, wallet, provider: { getBlock } },
    releases: openReleaseBook(openStore(join(tempDir(), 'agent.sqlite'))),
    receipts: { unsettledWei: () => owedWei },
    admission: { reservedWei: () => 10n },
    checkSession: async () => ({ user: USER }),
    signal: new AbortController().signal,
  } as unknown as ComputeContext
  const server = fastify()
  server.setReplySerializer(toJson)
  addReleaseRoute(server as unknown as HttpServer, ctx)
  const answer = await server.inject({ method: 'POST', url: '/v1/release' })
  return {
    wallet,
    answer,
    body: answer.json() as { release: Record<keyof Release, string>; signature: string },
  }
}

describe('POST /v1/release', () => {
  it('default: signs for the balance without what is owed and under way', async () => {
    const { wallet, body } = await release({ unsettled: 60n })
    assert.equal(body.release.amountWei, '30')
    const { user, ...numbers } = body.release
    const message = {
      user,
      amountWei: BigInt(numbers.amountWei),
      nonce: BigInt(numbers.nonce),
      validUntilSec: BigInt(numbers.validUntilSec),
    }
    const signer = inferenceSigner(
      inferenceDomain(CHAIN_ID, SERVING),
      { type: 'Release', message },
      body.signature,
    )
    assert.equal(signer, wallet.address)
  })

  it('behavior: what was settled after the balance was read is not let go a second time', async () => {
    const { body } = await release({ unsettled: 60n, settled: 0n })
    assert.equal(body.release.amountWei, '30')
  })

  it('error: nothing is free', async () => {
    const { answer } = await release({ unsettled: 95n })
    assert.equal((answer.json() as { code: string }).code, 'COMPUTE_BALANCE_TOO_LOW')
  })
})
