import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { promisify } from 'node:util'
import { type ContractTransactionResponse, parseEther } from 'ethers'
import { deployAll } from '../../../deploy/deploy-all.ts'
import { devAccount } from '../../../deploy/dev-account.ts'
import { localhost } from '../../../deploy/params/localhost.ts'
import {
  parseSessionToken,
  sessionTokenFault,
  verifySessionToken,
} from '../../../sdk/protocol/session-token.ts'
import {
  IInferenceServing__factory,
  IOperatorRegistry__factory,
  IStaking__factory,
} from '../../../typechain-types/index.js'
import { startAnvil } from '../../deploy/anvil-chain.ts'
import { ROOT } from '../../support/repository.ts'

const run = promisify(execFile)
const mined = async (sent: Promise<ContractTransactionResponse>) => (await sent).wait()

type Answer = {
  services: { provider: string; acknowledged: boolean }[]
  acknowledged: boolean
  metadata: { endpoint: string; model: string }
  fundedWei: string[]
  authorization: string
  apiKey: string
  askedWei: string
  availableWei: string
  gone: string
}

describe('the public compute client', () => {
  it('default: finds, funds, signs, revokes and takes back, with no address given', async () => {
    await using anvil = await startAnvil()
    const { book } = await deployAll({
      provider: anvil.provider,
      signer: devAccount(1, anvil.provider),
      network: localhost,
      pollMs: 5,
    })
    const { lockSec, minProviderStakeWei } = localhost.resolve({ blockSec: 1, prevRandaoVaries: true })
      .compute.inference
    const address = book.contracts.InferenceServing?.address ?? ''
    const operator = devAccount(3, anvil.provider)
    const staking = IStaking__factory.connect(book.contracts.Staking.address, operator)
    const serving = IInferenceServing__factory.connect(address, operator)
    await mined(
      IOperatorRegistry__factory.connect(book.contracts.OperatorRegistry.address, operator).register('x'),
    )
    await mined(staking.stake({ value: minProviderStakeWei }))
    await mined(staking.allocate(address, minProviderStakeWei))
    await mined(
      serving.addOrUpdateService({
        serviceType: 'chatbot',
        url: 'http://127.0.0.1:9',
        model: 'tiny-chat',
        verifiability: 'OpML',
        inputPrice: 2n,
        outputPrice: 3n,
        additionalInfo: '{}',
        teeSignerAddress: operator.address,
      }),
    )

    const user = devAccount(4)
    const { stdout } = await run(
      process.execPath,
      [
        join(ROOT, 'test/clients/public-compute.mjs'),
        anvil.url,
        user.privateKey,
        operator.address,
        `${lockSec}`,
      ],
      { timeout: 240_000, cwd: join(ROOT, 'test/clients') },
    )
    const answer = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as Answer
    assert.deepEqual(answer.services, [{ provider: operator.address, acknowledged: true }])
    assert.equal(answer.acknowledged, true)
    assert.deepEqual(answer.metadata, { endpoint: 'http://127.0.0.1:9/v1/proxy', model: 'tiny-chat' })
    assert.deepEqual(answer.fundedWei, [parseEther('3').toString(), parseEther('4').toString()])
    // One that the user transferred, and one that the client adds by itself before the first request.
    assert.equal(answer.askedWei, parseEther('2').toString())
    assert.equal(answer.availableWei, parseEther('4').toString())
    assert.match(answer.gone, /Account does not exist/)

    // Its tokens are what our own code takes, until the chain says that the key is revoked.
    const revokedBitmap = (await serving.isTokenRevoked(user.address, operator.address, 7)) ? 1n << 7n : 0n
    const standing = { provider: operator.address, generation: 0n, revokedBitmap, nowMs: Date.now() }
    const session = parseSessionToken(answer.authorization.replace('Bearer ', ''))
    assert.equal(verifySessionToken(session), user.address)
    assert.equal(sessionTokenFault(session.token, standing), undefined)
    const key = parseSessionToken(answer.apiKey)
    assert.equal(verifySessionToken(key), user.address)
    assert.match(sessionTokenFault(key.token, standing) ?? '', /revoked/)
  })
})
