import assert from 'node:assert/strict'
import { before, describe, it } from 'node:test'
import { Interface, keccak256, toBeHex, ZeroAddress } from 'ethers'
import fc from 'fast-check'
import { errorCode } from '../../../sdk/protocol/errors.ts'
import { createFlowTree, flowAppend, flowPad, flowRoot } from '../../../sdk/protocol/flow-tree.ts'
import { referenceHasher } from '../../../sdk/protocol/hasher.ts'
import { fileLayout } from '../../../sdk/protocol/layout.ts'
import {
  checkSubmission,
  fileTreeOf,
  type Submission,
  submissionDigest,
  submissionIdentity,
  submissionSectors,
} from '../../../sdk/protocol/submission.ts'
import { RefundReceiver__factory } from '../../../typechain-types/index.js'
import { at, type Content, contentOf } from '../../support/content.ts'
import { revertsWith } from '../../support/reverts.ts'
import { NEW_SUBMIT, OLD_SUBMIT } from '../../support/storage-deal.ts'
import { deployStorage, type StorageSystem } from '../../support/storage-fixture.ts'
import { readVectors } from '../../support/vectors.ts'

type FlowVector = { content: Content; startPos: string; flowLength: string; flowRoot: string }

const OLD_BATCH = 'batchSubmit((uint256,bytes,(bytes32,uint256)[])[])'
const NEW_BATCH = 'batchSubmit(((uint256,bytes,(bytes32,uint256)[]),address)[])'
const ROOT = `0x${'5a'.repeat(32)}`

let system: StorageSystem
before(async () => {
  system = await deployStorage({ providers: 0 })
})

const submissionOf = (content: Content): Submission =>
  fileTreeOf(referenceHasher, contentOf(content)).submission

/** In the words of the ABI. */
const dataOf = ({ byteLength, nodes }: Submission, tags = '0x') => ({ length: byteLength, tags, nodes })

/** A submission of nodes of these heights, as long as they allow. */
const shaped = (...heights: number[]): Submission => {
  const nodes = heights.map((height) => ({ root: ROOT, height }))
  return { byteLength: submissionSectors(nodes) * 256, nodes }
}

const feeOf = async (submission: Submission) =>
  BigInt(submissionSectors(submission.nodes)) * (await system.market.pricePerSector())

const submit = async (submission: Submission, valueWei?: bigint) =>
  system.flow
    .connect(system.uploader)
    [OLD_SUBMIT](dataOf(submission), { value: valueWei ?? (await feeOf(submission)) })

/** `Submit` events of the latest block, by position: ethers hides a field called `length`. */
async function lastSubmits() {
  const { flow } = system
  const events = await flow.queryFilter(flow.filters.Submit(), 'latest')
  return events.map((event) => {
    const [sender, identity, index, startPos, sectors, submission] = [...event.args]
    return { sender, identity, index, startPos, sectors, submission }
  })
}

const lastSubmit = async () => at(await lastSubmits(), -1)

describe('Flow', () => {
  it('default: selectors, topic and errors are those of the public clients', () => {
    const { interface: abi } = system.flow
    assert.equal(abi.getFunction(NEW_SUBMIT)?.selector, '0xbc8c11f8')
    assert.equal(abi.getFunction(OLD_SUBMIT)?.selector, '0xef3e12dc')
    assert.equal(abi.getFunction(NEW_BATCH)?.selector, '0x49aa3395')
    assert.equal(abi.getFunction(OLD_BATCH)?.selector, '0x9e62a38e')
    assert.equal(abi.getFunction('market')?.selector, '0x80f55605')
    assert.equal(abi.getFunction('numSubmissions')?.selector, '0x77e19824')
    assert.equal(abi.getFunction('submissionIndex')?.selector, '0xb8a409ac')
    assert.equal(abi.getFunction('tree')?.selector, '0xfd54b228')
    assert.equal(abi.getFunction('getFlowRootByTxSeq')?.selector, '0x6d7ad0fc')
    assert.equal(abi.getFunction('computeFlowRoot')?.selector, '0x1deb0fca')
    assert.equal(system.market.interface.getFunction('pricePerSector')?.selector, '0x61ec5082')
    assert.equal(
      abi.getEvent('Submit')?.topicHash,
      '0x167ce04d2aa1981994d3a31695da0d785373335b1078cec239a1a3a2c7675555',
    )
    assert.equal(abi.getError('NotEnoughFee')?.selector, '0xf85c6482')
    assert.equal(abi.getError('InvalidSubmission')?.selector, '0xf956cee4')
  })

  it('default: a fresh flow holds the genesis leaf', async () => {
    const { flow, market } = system
    assert.equal(await flow.numSubmissions(), 0n)
    assert.deepEqual([...(await flow.tree())], [1n, 1n])
    assert.equal(await flow.computeFlowRoot(), `0x${'00'.repeat(32)}`)
    assert.equal(await flow.market(), await market.getAddress())
  })

  it('behavior: positions and roots of the published sequence', () =>
    system.rolledBack(async () => {
      const { flow } = system
      const { flow: published } = readVectors<{ flow: FlowVector[] }>('published')
      assert.equal(published.length, 7)
      for (const [seq, { content, startPos, flowLength, flowRoot }] of published.entries()) {
        await submit(submissionOf(content))
        assert.equal((await lastSubmit()).startPos, BigInt(startPos))
        assert.equal((await flow.tree()).currentLength, BigInt(flowLength))
        assert.equal(await flow.getFlowRootByTxSeq(seq), flowRoot)
        assert.equal(await flow.computeFlowRoot(), flowRoot)
      }
      // Earlier roots stay readable.
      assert.equal(await flow.getFlowRootByTxSeq(0), at(published, 0).flowRoot)
      assert.equal((await flow.tree()).unstagedHeight, 15n)
    }))
})

describe('submit', () => {
  const submission = submissionOf({ byteLength: 600_000, fill: 'mod251' })

  it('default: the old form records who paid, and the event says it', () =>
    system.rolledBack(async () => {
      const { flow, streams, uploader, head } = system
      const result = await flow
        .connect(uploader)
        [OLD_SUBMIT].staticCall(dataOf(submission, '0x1234'), { value: await feeOf(submission) })
      await flow
        .connect(uploader)
        [OLD_SUBMIT](dataOf(submission, '0x1234'), { value: await feeOf(submission) })
      const digest = submissionDigest(submission)
      assert.deepEqual([...result], [0n, digest, 2048n, 2560n])
      assert.deepEqual([...(await flow.submission(0))], [digest, uploader.address, await head(), 2560n])
      assert.equal(await streams.escrowOf(0), await feeOf(submission))

      const event = await lastSubmit()
      assert.equal(event.sender, uploader.address)
      assert.equal(event.identity, submissionIdentity(submission.nodes))
      assert.deepEqual([event.index, event.startPos, event.sectors], [0n, 2048n, 2560n])
      const [length, tags, nodes] = [...event.submission]
      assert.deepEqual([length, tags], [600_000n, '0x1234'])
      assert.deepEqual(
        [...nodes].map(([root, height]) => ({ root, height: Number(height) })),
        submission.nodes,
      )
    }))

  it('behavior: in the new form the submitter is only repeated: the owner is who paid', () =>
    system.rolledBack(async () => {
      const { flow, uploader, stranger } = system
      await flow
        .connect(uploader)
        [NEW_SUBMIT]({ data: dataOf(submission), submitter: stranger }, { value: await feeOf(submission) })
      assert.equal((await lastSubmit()).sender, stranger.address)
      assert.equal((await flow.submission(0)).owner, uploader.address)
    }))

  it('behavior: overpayment returns at once; the flow keeps nothing', () =>
    system.rolledBack(async () => {
      const { flow, uploader, chain, streams } = system
      const { provider } = chain.ethers
      const feeWei = await feeOf(submission)
      const before = await provider.getBalance(uploader)
      const receipt = await (await submit(submission, feeWei + 12_345n)).wait()
      assert.ok(receipt)
      assert.equal(before - (await provider.getBalance(uploader)), feeWei + receipt.fee)
      assert.equal(await provider.getBalance(flow), 0n)
      assert.equal(await streams.escrowOf(0), feeWei)
    }))

  it('error: a wei too little', async () => {
    const { flow, market } = system
    const feeWei = await feeOf(submission)
    const price = await market.pricePerSector()
    await revertsWith(submit(submission, feeWei - 1n), flow, 'NotEnoughFee', [price, 2560n, feeWei - 1n])
    await revertsWith(submit(submission, 0n), flow, 'NotEnoughFee', [price, 2560n, 0n])
  })

  it('error: what the public network calls invalid, and our model with it', async () => {
    const { flow, uploader } = system
    const max = 2 ** 8 * 256
    const cases: Record<string, Submission> = {
      'no node': { byteLength: 1, nodes: [] },
      'no byte': { byteLength: 0, nodes: shaped(0).nodes },
      'heights that ascend': shaped(3, 4),
      'two nodes of one height': shaped(4, 4),
      'heights 4 apart': shaped(8, 4),
      'a height of 64': { byteLength: 256, nodes: [{ root: ROOT, height: 64 }] },
      'a byte too many': { byteLength: max + 1, nodes: shaped(8).nodes },
      'one node padded too far': { byteLength: max - max / 16, nodes: shaped(8).nodes },
      'two nodes padded too far': {
        byteLength: (2 ** 8 + 2 ** 5 - 2 ** 5) * 256,
        nodes: shaped(8, 5).nodes,
      },
      'a small file padded too far': { byteLength: 8 * 256, nodes: shaped(3, 0).nodes },
    }
    for (const [name, submission] of Object.entries(cases)) {
      assert.throws(() => checkSubmission(submission), { code: 'SUBMISSION_INVALID' }, name)
      await revertsWith(
        flow.connect(uploader)[OLD_SUBMIT](dataOf(submission), { value: 10n ** 18n }),
        flow,
        'InvalidSubmission',
      )
    }
    for (const submission of [shaped(8), shaped(8, 5), shaped(9, 8, 7, 6), shaped(3, 0)]) {
      checkSubmission(submission)
      await flow
        .connect(uploader)
        [OLD_SUBMIT].staticCall(dataOf(submission), { value: await feeOf(submission) })
    }
  })

  it('error: more sectors than a record can count, and no submitter in the new form', async () => {
    const { flow, uploader, chain } = system
    const sectors = 2n ** 56n
    const huge = { length: sectors * 256n, tags: '0x', nodes: [{ root: ROOT, height: 56 }] }
    await chain.rolledBack(async () => {
      const value = sectors * (await system.market.pricePerSector())
      await chain.setBalance(uploader.address, value * 2n)
      await revertsWith(flow.connect(uploader)[OLD_SUBMIT](huge, { value }), flow, 'InvalidSubmission')
    })
    await revertsWith(
      flow
        .connect(uploader)
        [NEW_SUBMIT](
          { data: dataOf(submission), submitter: ZeroAddress },
          { value: await feeOf(submission) },
        ),
      flow,
      'InvalidSubmission',
    )
  })

  it('error: heights at which a power of two no longer fits a word', async () => {
    const { flow, uploader } = system
    for (const height of [64n, 255n, 256n, 2n ** 256n - 1n]) {
      const data = { length: 1n, tags: '0x', nodes: [{ root: ROOT, height }] }
      await revertsWith(flow.connect(uploader)[OLD_SUBMIT](data, { value: 1n }), flow, 'InvalidSubmission')
    }
  })

  it('error: views of a submission that does not exist', async () => {
    const { flow } = system
    await revertsWith(flow.submission(5n), flow, 'UnknownSubmission', [5n])
    await revertsWith(flow.getFlowRootByTxSeq(5n), flow, 'UnknownSubmission', [5n])
  })
})

describe('submit, by property', () => {
  /** Heights, mostly as files have them. */
  const anyHeights = fc.oneof(
    fc
      .tuple(fc.integer({ min: 3, max: 10 }), fc.subarray([1, 2, 3]))
      .map(([first, below]) => [first, ...below.map((step) => first - step)]),
    fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 5 }),
  )
  /** Lengths around what the padding rules turn on: the capacity, less some parts of it. */
  const anySubmission = fc
    .tuple(anyHeights, fc.integer({ min: 0, max: 4 }), fc.integer({ min: -1, max: 1 }))
    .map(([heights, parts, off]): Submission => {
      const { byteLength, nodes } = shaped(...heights)
      return { byteLength: Math.max(0, byteLength - Math.floor((byteLength * parts) / 32) + off), nodes }
    })

  it('behavior: the contract takes exactly what the model takes', async () => {
    const { flow, uploader } = system
    let taken = 0
    await fc.assert(
      fc.asyncProperty(anySubmission, async (submission) => {
        const call = flow
          .connect(uploader)
          [OLD_SUBMIT].staticCall(dataOf(submission), { value: await feeOf(submission) })
        if (isValid(submission)) {
          await call
          taken++
        } else await revertsWith(call, flow, 'InvalidSubmission')
      }),
      { numRuns: 200, seed: 42 },
    )
    assert.ok(taken > 10, `only ${taken} of the samples were valid`)
  })

  it('behavior: files of any size get the positions and roots that the model gives', () =>
    system.rolledBack(async () => {
      const { flow } = system
      const tree = createFlowTree()
      const sizes = fc.sample(fc.integer({ min: 1, max: 2 ** 24 }), { numRuns: 24, seed: 7 })
      for (const [seq, byteLength] of sizes.entries()) {
        const { nodeHeights, paddedSectors } = fileLayout(byteLength)
        const nodes = nodeHeights.map((height, i) => ({
          height,
          root: keccak256(toBeHex(seq * 8 + i + 1, 32)),
        }))
        await submit({ byteLength, nodes })
        const startPos = flowPad(tree, at(nodes, 0).height, BigInt(paddedSectors))
        for (const { height, root } of nodes) flowAppend(tree, height, root)
        assert.equal((await lastSubmit()).startPos, startPos)
        assert.equal((await flow.tree()).currentLength, tree.length)
        assert.equal(await flow.getFlowRootByTxSeq(seq), flowRoot(tree))
      }
    }))

  function isValid(submission: Submission): boolean {
    try {
      checkSubmission(submission)
      return true
    } catch (error) {
      assert.equal(errorCode(error), 'SUBMISSION_INVALID')
      return false
    }
  }
})

describe('batchSubmit', () => {
  const batch = [
    submissionOf({ byteLength: 256, fill: 97 }),
    submissionOf({ byteLength: 1, fill: 97 }),
    submissionOf({ byteLength: 257, fill: 97 }),
  ]
  const totalFee = async () => {
    const fees = await Promise.all(batch.map(feeOf))
    return fees.reduce((sum, fee) => sum + fee, 0n)
  }

  it('default: the same records and roots as one by one, each with its own escrow', () =>
    system.rolledBack(async () => {
      const { flow, streams, uploader, stranger, chain } = system
      const { flow: published } = readVectors<{ flow: FlowVector[] }>('published')
      const feeWei = await totalFee()
      const submissions = batch.map((submission) => ({
        data: dataOf(submission),
        submitter: stranger.address,
      }))
      const result = await flow.connect(uploader)[NEW_BATCH].staticCall(submissions, { value: feeWei })
      assert.deepEqual(
        result.map((list) => [...list]),
        [[0n, 1n, 2n], batch.map(submissionDigest), [1n, 2n, 4n], [1n, 1n, 2n]],
      )
      await flow.connect(uploader)[NEW_BATCH](submissions, { value: feeWei + 1n })
      for (const [seq, submission] of batch.entries()) {
        assert.equal(await flow.getFlowRootByTxSeq(seq), at(published, seq).flowRoot)
        assert.equal(await streams.escrowOf(seq), await feeOf(submission))
        assert.equal((await flow.submission(seq)).owner, uploader.address)
      }
      assert.equal(await chain.ethers.provider.getBalance(flow), 0n)
      assert.deepEqual(
        (await lastSubmits()).map(({ sender, index }) => [sender, index]),
        [0n, 1n, 2n].map((index) => [stranger.address, index]),
      )

      await flow.connect(stranger)[OLD_BATCH](
        batch.map((submission) => dataOf(submission)),
        { value: feeWei },
      )
      assert.equal((await flow.submission(5n)).owner, stranger.address)
      assert.equal((await lastSubmit()).sender, stranger.address)
    }))

  it('error: an empty batch, one over the limit, and a value that pays only for the first ones', async () => {
    const { flow, uploader } = system
    const asUploader = flow.connect(uploader)
    await revertsWith(asUploader[OLD_BATCH]([]), flow, 'InvalidSubmission')
    await revertsWith(asUploader[NEW_BATCH]([]), flow, 'InvalidSubmission')
    const many = Array.from({ length: 101 }, () => dataOf(at(batch, 0)))
    await revertsWith(asUploader[OLD_BATCH](many, { value: 10n ** 18n }), flow, 'InvalidSubmission')
    const price = await system.market.pricePerSector()
    const feeWei = await totalFee()
    const data = batch.map((submission) => dataOf(submission))
    await revertsWith(asUploader[OLD_BATCH](data, { value: feeWei - 1n }), flow, 'NotEnoughFee', [
      price,
      2n,
      2n * price - 1n,
    ])
    const unnamed = [{ data: dataOf(at(batch, 0)), submitter: ZeroAddress }]
    await revertsWith(asUploader[NEW_BATCH](unnamed, { value: feeWei }), flow, 'InvalidSubmission')
  })
})

describe('refund of an overpayment', () => {
  const first = submissionOf({ byteLength: 257, fill: 97 })
  const second = submissionOf({ byteLength: 256, fill: 97 })

  it('error: a receiver that takes no money back loses the whole submission', () =>
    system.rolledBack(async () => {
      const { flow, uploader } = system
      const receiver = await new RefundReceiver__factory(uploader).deploy()
      await receiver.refuse()
      const feeWei = await feeOf(first)
      const call = flow.interface.encodeFunctionData(OLD_SUBMIT, [dataOf(first)])
      const value = feeWei + 7n
      await revertsWith(receiver.forward(flow, value, call, { value }), flow, 'RefundFailed', [
        await receiver.getAddress(),
        7n,
      ])
      assert.equal(await flow.numSubmissions(), 0n)
      await receiver.forward(flow, feeWei, call, { value: feeWei })
      assert.equal(await flow.numSubmissions(), 1n)
    }))

  it('behavior: a receiver that submits again gets a second submission, each paid once', () =>
    system.rolledBack(async () => {
      const { flow, streams, uploader, chain } = system
      const { provider } = chain.ethers
      const receiver = await new RefundReceiver__factory(uploader).deploy()
      const [firstFee, secondFee] = [await feeOf(first), await feeOf(second)]
      const again = flow.interface.encodeFunctionData(OLD_SUBMIT, [dataOf(second)])
      await receiver.callAgain(flow, secondFee, again)
      const call = flow.interface.encodeFunctionData(OLD_SUBMIT, [dataOf(first)])
      const value = firstFee + secondFee + 3n
      await receiver.forward(flow, value, call, { value })
      assert.equal(await flow.numSubmissions(), 2n)
      assert.deepEqual([await streams.escrowOf(0), await streams.escrowOf(1)], [firstFee, secondFee])
      assert.equal(await streams.escrowWei(), firstFee + secondFee)
      assert.equal(await provider.getBalance(flow), 0n)
      assert.equal(await provider.getBalance(receiver), 3n)
      assert.equal((await flow.submission(0)).digest, submissionDigest(first))
      assert.equal((await flow.submission(1)).digest, submissionDigest(second))
    }))

  it('error: a receiver that submits again without paying gets nothing at all', () =>
    system.rolledBack(async () => {
      const { flow, uploader } = system
      const receiver = await new RefundReceiver__factory(uploader).deploy()
      const again = flow.interface.encodeFunctionData(OLD_SUBMIT, [dataOf(second)])
      await receiver.callAgain(flow, 1n, again)
      const call = flow.interface.encodeFunctionData(OLD_SUBMIT, [dataOf(first)])
      const value = (await feeOf(first)) + 1n
      await revertsWith(receiver.forward(flow, value, call, { value }), flow, 'RefundFailed')
      assert.equal(await flow.numSubmissions(), 0n)
    }))
})

describe('deposit', () => {
  it('error: only the flow and the market put money into escrow', async () => {
    const { streams, stranger } = system
    await revertsWith(streams.connect(stranger).deposit(0n, { value: 1n }), streams, 'NotAuthorized', [
      stranger.address,
    ])
  })
})

describe('public ABI', () => {
  it('behavior: a client that knows only the published fragments reads the price and the event', () =>
    system.rolledBack(async () => {
      const { chain, flow, uploader } = system
      const published = new Interface([
        'function market() view returns (address)',
        'function pricePerSector() view returns (uint256)',
        'event Submit(address indexed sender, bytes32 indexed identity, uint256 submissionIndex, uint256 startPos, uint256 length, tuple(uint256 length, bytes tags, tuple(bytes32 root, uint256 height)[] nodes) submission)',
      ])
      const { provider } = chain.ethers
      const market = published.decodeFunctionResult(
        'market',
        await provider.call({ to: flow, data: published.encodeFunctionData('market') }),
      )[0]
      const price = published.decodeFunctionResult(
        'pricePerSector',
        await provider.call({ to: market, data: published.encodeFunctionData('pricePerSector') }),
      )[0]
      assert.equal(price, await system.market.pricePerSector())
      const receipt = await (await submit(shaped(2))).wait()
      const log = receipt?.logs.find(({ topics }) => topics[0] === published.getEvent('Submit')?.topicHash)
      assert.ok(log)
      const parsed = published.parseLog(log)
      assert.deepEqual([...(parsed?.args ?? [])].slice(0, 2), [
        uploader.address,
        submissionIdentity([{ root: ROOT, height: 2 }]),
      ])
    }))
})
