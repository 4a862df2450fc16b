import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AbiCoder, id, keccak256, Wallet } from 'ethers'
import {
  hashStorageMessage,
  marketDomain,
  type StorageMessage,
  signStorageMessage,
  verifyStorageMessage,
} from '../../../sdk/protocol/typed-data.ts'
import { at } from '../../support/content.ts'
import { readVectors } from '../../support/vectors.ts'

type Vectors = {
  chainId: string
  verifyingContract: string
  messages: { type: StorageMessage['type']; message: Record<string, string>; hash: string }[]
}

const vectors = readVectors<Vectors>('typed-data')
const domain = marketDomain(BigInt(vectors.chainId), vectors.verifyingContract)
// JSON has no bigint; the numbers of the vectors are decimal strings, which ethers takes as they are.
const messages = vectors.messages as unknown as (StorageMessage & { hash: string })[]

const TYPE_STRINGS = {
  Custody:
    'Custody(uint256 txSeq,bytes32 digest,bytes32 custodyRoot,uint256 shardBitmap,uint256 ratePerPeriod,uint256 expiresAt,uint256 validUntil)',
  Approve: 'Approve(uint256 txSeq,bytes32 custodyRoot)',
  Takeover:
    'Takeover(uint256 txSeq,uint256 shardIndex,bytes32 custodyRoot,uint256 ratePerPeriod,uint256 validUntil)',
}

/** EIP-712 written out once more, from the standard's text alone. */
function hashByHand(type: keyof typeof TYPE_STRINGS, message: Record<string, unknown>): string {
  const coder = AbiCoder.defaultAbiCoder()
  const fieldTypes = TYPE_STRINGS[type]
    .replace(/^\w+\(|\)$/g, '')
    .split(',')
    .map((field) => at(field.split(' '), 0))
  const struct = keccak256(
    coder.encode(['bytes32', ...fieldTypes], [id(TYPE_STRINGS[type]), ...Object.values(message)]),
  )
  const separator = keccak256(
    coder.encode(
      ['bytes32', 'bytes32', 'bytes32', 'uint256', 'address'],
      [
        id('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)'),
        id('ZeroG StorageMarket'),
        id('1'),
        vectors.chainId,
        vectors.verifyingContract,
      ],
    ),
  )
  return keccak256(`0x1901${separator.slice(2)}${struct.slice(2)}`)
}

describe('hashStorageMessage', () => {
  it('default: the vectors, and EIP-712 written out by hand', () => {
    for (const entry of messages) {
      assert.equal(hashStorageMessage(domain, entry), entry.hash)
      assert.equal(hashByHand(entry.type, { ...entry.message }), entry.hash)
    }
  })
})

describe('signStorageMessage', () => {
  it('default: a signature verifies for its signer, message and domain only', async () => {
    const wallet = new Wallet(id('custodian'))
    for (const entry of messages) {
      const signature = await signStorageMessage(wallet, domain, entry)
      verifyStorageMessage(domain, entry, { signer: wallet.address, signature })
      verifyStorageMessage(domain, entry, { signer: wallet.address.toLowerCase(), signature })
      const refused = { name: 'ZerogError', code: 'SIGNATURE_INVALID' }
      const elsewhere = marketDomain(1n, vectors.verifyingContract)
      assert.throws(
        () => verifyStorageMessage(elsewhere, entry, { signer: wallet.address, signature }),
        refused,
      )
      assert.throws(
        () => verifyStorageMessage(domain, entry, { signer: vectors.verifyingContract, signature }),
        refused,
      )
      const other = at(messages, (messages.indexOf(entry) + 1) % messages.length)
      assert.throws(() => verifyStorageMessage(domain, other, { signer: wallet.address, signature }), refused)
      assert.throws(
        () => verifyStorageMessage(domain, entry, { signer: wallet.address, signature: '0x12' }),
        refused,
      )
    }
  })
})
