import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { describe, it } from 'node:test'
import { getBytes, id, keccak256, ZeroHash } from 'ethers'
import { isZerogError } from '../../../sdk/protocol/errors.ts'
import { loadHasher } from '../../../sdk/protocol/hasher.ts'
import {
  describeJobOutput,
  formatJobHeader,
  JOB_HEADER_BYTES,
  jobKind,
  jobOutputKey,
  parseJobHeader,
  unwrapJobOutput,
  wrapJobOutput,
} from '../../../sdk/protocol/job-output.ts'
import { verifyMerkleProof } from '../../../sdk/protocol/merkle.ts'
import { fileTreeOf } from '../../../sdk/protocol/submission.ts'
import { randomBytes } from '../../support/content.ts'

const hasher = await loadHasher()
const HEADER = {
  key: jobOutputKey({
    chainId: 31_337n,
    escrow: `0x${'ab'.repeat(20)}`,
    jobId: 7n,
    provider: `0x${'cd'.repeat(20)}`,
  }),
  modelRoot: id('model'),
  inputRoot: id('input'),
  kind: jobKind('batch-inference'),
  units: 2n ** 64n - 1n,
}
const sha256 = (bytes: Uint8Array) => `0x${createHash('sha256').update(bytes).digest('hex')}`
const refused = (work: () => unknown, message: RegExp) =>
  assert.throws(
    work,
    (error) => isZerogError(error) && error.code === 'BAD_REQUEST' && message.test(error.message),
  )

describe('wrapJobOutput and unwrapJobOutput', () => {
  const body = randomBytes(1_000, 3)
  const output = wrapJobOutput(HEADER, body)

  it('default: one sector of header, then the body, whose length and hash are in the header', () => {
    assert.equal(output.length, JOB_HEADER_BYTES + 1_000)
    const header = { ...HEADER, bodyBytes: 1_000, bodySha256: sha256(body) }
    assert.deepEqual(parseJobHeader(output), header)
    assert.deepEqual(output.subarray(0, JOB_HEADER_BYTES), formatJobHeader(header))
    assert.deepEqual(unwrapJobOutput(output, HEADER), { header, body })
  })

  it('behavior: hashes are compared in any case', () => {
    unwrapJobOutput(output, { inputRoot: `0x${HEADER.inputRoot.slice(2).toUpperCase()}` })
  })

  it('error: cut short, longer, or changed in one bit', () => {
    refused(() => unwrapJobOutput(output.subarray(0, -1)), /not as long/)
    refused(() => unwrapJobOutput(new Uint8Array([...output, 0])), /not as long/)
    const changed = output.slice()
    changed[JOB_HEADER_BYTES] = (changed[JOB_HEADER_BYTES] ?? 0) ^ 1
    refused(() => unwrapJobOutput(changed), /another hash/)
    refused(() => parseJobHeader(output.subarray(0, 255)), /shorter/)
    refused(() => parseJobHeader(randomBytes(256, 1)), /no output/)
    const endless = output.slice()
    endless.fill(0xff, 32 * 6, 32 * 7)
    refused(() => parseJobHeader(endless), /out of range/)
  })

  it('error: another job, model, input, kind or units than expected', () => {
    for (const name of ['key', 'modelRoot', 'inputRoot', 'kind'] as const)
      refused(() => unwrapJobOutput(output, { [name]: id('other') }), new RegExp(name))
    refused(() => unwrapJobOutput(output, { units: 1n }), /units/)
  })

  it('error: no body, or a hash that is none', () => {
    refused(() => wrapJobOutput(HEADER, new Uint8Array()), /empty/)
    refused(() => wrapJobOutput({ ...HEADER, kind: '0x01' }, body), /32 bytes/)
  })

  it('behavior: one job, chain, escrow and provider have one key', () => {
    const job = { chainId: 1n, escrow: `0x${'01'.repeat(20)}`, jobId: 1n, provider: `0x${'02'.repeat(20)}` }
    const others = [{ chainId: 2n }, { escrow: job.provider }, { jobId: 2n }, { provider: job.escrow }]
    const keys = [job, ...others.map((change) => ({ ...job, ...change }))].map(jobOutputKey)
    assert.equal(new Set(keys).size, keys.length)
  })
})

describe('describeJobOutput', () => {
  it('default: root and nodes of the file, and a proof of its first sector', () => {
    for (const bytes of [1, 256, 4_000, 70_000]) {
      const output = wrapJobOutput(HEADER, randomBytes(bytes, bytes))
      const { root, nodes, byteLength, header, path } = describeJobOutput(hasher, output)
      assert.deepEqual({ root, submission: { byteLength, nodes } }, fileTreeOf(hasher, output))
      const leaf = getBytes(keccak256(header))
      const root0 = getBytes(nodes[0]?.root ?? ZeroHash)
      const proof = { root: root0, leaf, index: 0, path: path.map((hash) => getBytes(hash)) }
      assert.equal(path.length, nodes[0]?.height)
      assert.ok(verifyMerkleProof(hasher, proof), `${bytes} bytes`)
    }
  })

  it('error: shorter than a header', () => {
    refused(() => describeJobOutput(hasher, new Uint8Array(255)), /shorter/)
  })
})
