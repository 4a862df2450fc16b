import assert from 'node:assert/strict'
import { after, before, describe, it, mock } from 'node:test'
import { Signature } from 'ethers'
import { signerSender } from '../../../sdk/chain/send.ts'
import { createWritePermission, isUnsigned } from '../../../sdk/client/write-permission.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import {
  MAX_PERMISSION_SEC,
  parsePermission,
  permissionText,
  textSigner,
} from '../../../sdk/protocol/permission.ts'
import { type StorageNetwork, startStorageNetwork } from './storage-network.ts'

const TX_SEQ = 7n
const START_MS = 1_900_000_000_000

describe('createWritePermission', () => {
  let network: StorageNetwork
  before(async () => {
    network = await startStorageNetwork({ providers: 0 })
    mock.timers.enable({ apis: ['Date'], now: START_MS })
  })
  after(async () => {
    mock.timers.reset()
    await network.stop()
  })

  /** A permission, and how often it asked for a signature; `sign` stands before the wallet. */
  async function permission(sign = (signature: Promise<string>): Promise<string> => signature) {
    const owner = network.account(3)
    let asked = 0
    const signMessage = (text: string) => {
      asked++
      return sign(owner.signMessage(text))
    }
    const sender = { ...(await signerSender(network.chain, owner)), signMessage }
    const { chain } = network
    return { authorize: createWritePermission({ chain, sender }, TX_SEQ), asked: () => asked, owner }
  }

  it('default: the header says who may write to what, and until when', async () => {
    const { authorize, owner } = await permission()
    const { address, validUntilSec, signature } = parsePermission(await authorize())
    const nowSec = Math.floor(Date.now() / 1000)
    assert.equal(address, owner.address)
    assert(validUntilSec > nowSec && validUntilSec < nowSec + MAX_PERMISSION_SEC.write)
    const text = permissionText({ action: 'write', chainId: 31_337n, txSeq: TX_SEQ }, validUntilSec)
    assert.equal(text, `zerog write 31337 7 ${validUntilSec}`)
    assert.equal(textSigner(text, signature), owner.address)
  })

  it('behavior: requests at the same time share one signature; it is renewed well before it expires', async () => {
    const { authorize, asked } = await permission()
    const headers = await Promise.all([authorize(), authorize(), authorize()])
    assert.equal(new Set(headers).size, 1)
    const first = parsePermission(headers[0] ?? '').validUntilSec
    let last = first
    while (last === first) {
      mock.timers.tick(600_000)
      const { validUntilSec } = parsePermission(await authorize())
      assert(validUntilSec > Date.now() / 1000 + 3600)
      last = validUntilSec
    }
    assert.equal(asked(), 2)
    assert(last > first)
  })

  it('behavior: the compact form of a signature goes out in full', async () => {
    const { authorize, owner } = await permission(
      async (signature) => Signature.from(await signature).compactSerialized,
    )
    assert.equal(parsePermission(await authorize()).address, owner.address)
  })

  it('error: a failure to sign is told from that of a provider, and the next request asks again', async () => {
    let refuses = true
    const { authorize, owner } = await permission(async (signature) => {
      if (refuses) throw new Error('locked')
      return signature
    })
    await assert.rejects(authorize(), isUnsigned)
    refuses = false
    assert.equal(parsePermission(await authorize()).address, owner.address)
    const answer = new ZerogError('FORBIDDEN', 'no', { meta: { unsigned: true, status: 403 } })
    assert.equal(isUnsigned(answer), false)
  })

  it('error: a signature of a contract account', async () => {
    const { authorize } = await permission(async () => `0x${'12'.repeat(200)}`)
    await assert.rejects(authorize(), { code: 'UNAUTHORIZED' })
  })
})
