import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AbiCoder, type ContractTransactionResponse, id, keccak256, ZeroAddress, ZeroHash } from 'ethers'
import { decodeModelEvent } from '../../../sdk/chain/model-events.ts'
import {
  GateErc20Mock__factory,
  GateErc721Mock__factory,
  GateErc1155Mock__factory,
  HostileTokenMock__factory,
} from '../../../typechain-types/index.js'
import { compareGas, type GasFigure } from '../../support/gas-snapshot.ts'
import { createInference } from '../../support/inference-fixture.ts'
import { revertsWith } from '../../support/reverts.ts'

const chain = await createInference()
const { models, owner } = chain
const [NONE, ERC20, ERC721, ERC1155] = [0n, 1n, 2n, 3n]
const [PASSED, BALANCE_TOO_LOW, TOKEN_FAILED, NOT_TOKEN_OWNER] = [0n, 1n, 2n, 3n]
const gas: Record<string, GasFigure> = {}

const coin = await new GateErc20Mock__factory(owner).deploy()
const pass = await new GateErc721Mock__factory(owner).deploy()
const many = await new GateErc1155Mock__factory(owner).deploy()
const hostile = await new HostileTokenMock__factory(owner).deploy()

const OPEN_GATE = {
  kind: NONE,
  token: ZeroAddress,
  tokenId: 0n,
  minBalance: 0n,
  freeUnits: 0n,
  quotaPeriodBlocks: 0n,
}
type Gate = typeof OPEN_GATE
type Terms = ReturnType<typeof termsOf>

const gateOf = async (
  kind: bigint,
  token: { getAddress(): Promise<string> },
  more: Partial<Gate> = {},
): Promise<Gate> => ({ ...OPEN_GATE, kind, token: await token.getAddress(), minBalance: 1n, ...more })

function termsOf(more: Partial<{ [K in 'manifestRoot' | 'kind' | 'licence' | 'commitment']: string }> = {}) {
  return {
    manifestRoot: id('root 1'),
    kind: 'text-generation',
    licence: 'Apache-2.0',
    verification: 0n,
    commitment: ZeroHash,
    inputFloorWei: 0n,
    outputFloorWei: 0n,
    gate: OPEN_GATE,
    ...more,
  }
}

const gateFields = ({ kind, token, tokenId, minBalance, freeUnits, quotaPeriodBlocks }: Gate): Gate => ({
  ...{ kind, token, tokenId, minBalance, freeUnits, quotaPeriodBlocks },
})

let names = 0
const newName = () => `zerog/model-${++names}`
/** Registers a model of a new name by account `index`. */
async function newModel(terms: Partial<Terms> = {}, index = 1): Promise<string> {
  const name = newName()
  await models.connect(chain.signer(index)).register(name, { ...termsOf(), ...terms })
  return name
}

const eventsOf = async (pending: Promise<ContractTransactionResponse>) => {
  const receipt = await (await pending).wait()
  const address = await models.getAddress()
  const book = { contracts: { ModelRegistry: { address } } } as Parameters<typeof decodeModelEvent>[0]
  return (receipt?.logs ?? []).map((log) => decodeModelEvent(book, log))
}
const gasOf = async (pending: Promise<ContractTransactionResponse>) =>
  (await (await pending).wait())?.gasUsed ?? 0n

describe('register', () => {
  it('default: the first registrant has the name, its terms, and version 1', async () => {
    const user = chain.signer(1)
    const name = newName()
    const terms = { ...termsOf(), inputFloorWei: 5n, outputFloorWei: 7n, gate: await gateOf(ERC20, coin) }
    assert.equal(await models.isRegistered(name), false)
    const events = await eventsOf(models.connect(user).register(name, terms))
    assert.deepEqual(
      events.map((event) => event?.name),
      ['ModelRegistered', 'ModelVersionPublished', 'ModelTermsSet', 'ModelGateSet'],
    )
    assert.deepEqual(events[0]?.args, { modelHash: id(name), owner: user.address, modelId: name })
    assert.deepEqual(events[3]?.args, { modelHash: id(name), gate: terms.gate })

    assert.equal(await models.isRegistered(name), true)
    const model = await models.modelOf(name)
    assert.deepEqual(
      [model.modelId, model.owner, model.pendingOwner, model.version],
      [name, user.address, ZeroAddress, 1n],
    )
    assert.equal(model.registeredAtSec, await chain.latest())
    assert.deepEqual(
      [model.terms.manifestRoot, model.terms.kind, model.terms.licence, model.terms.verification],
      [terms.manifestRoot, terms.kind, terms.licence, 0n],
    )
    assert.deepEqual(gateFields(model.terms.gate), terms.gate)
    assert.deepEqual([...(await models.floorOf(name))], [5n, 7n])
    assert.equal((await models.modelByHash(id(name))).modelId, name)
    const version = await models.versionAt(name, 1)
    assert.deepEqual([version.manifestRoot, version.fromSec], [terms.manifestRoot, await chain.latest()])
  })

  it('1: a name that is taken stays taken, also for the account that has it', async () => {
    const name = await newModel()
    for (const index of [1, 2]) {
      const again = models.connect(chain.signer(index)).register(name, termsOf())
      await revertsWith(again, models, 'ModelExists', [id(name), chain.signer(1).address])
    }
  })

  it('error: names that nobody could tell apart or type', async () => {
    const bad = [
      '',
      ' ',
      '/a',
      '.a',
      '-a',
      '_a',
      'a b',
      'a\n',
      'a\u0000',
      'modèle',
      'а',
      'a:b',
      'a'.repeat(129),
    ]
    for (const name of bad) {
      await revertsWith(models.register(name, termsOf()), models, 'ModelIdInvalid', [name])
    }
    for (const name of ['a', '0', 'Z9._-/x', 'a'.repeat(128)]) await models.register(name, termsOf())
  })

  it('error: no root, texts without end, and gates that mean nothing', async () => {
    const register = (terms: Partial<Terms>) => models.register(newName(), { ...termsOf(), ...terms })
    await revertsWith(register({ manifestRoot: ZeroHash }), models, 'ManifestRootMissing')
    await revertsWith(register({ kind: 'k'.repeat(65) }), models, 'ModelTextTooLong', [65n, 64n])
    await revertsWith(register({ licence: 'l'.repeat(129) }), models, 'ModelTextTooLong', [129n, 128n])
    const token = await coin.getAddress()
    const gates: Gate[] = [
      { ...OPEN_GATE, token },
      { ...OPEN_GATE, minBalance: 1n },
      { ...OPEN_GATE, tokenId: 1n },
      { ...OPEN_GATE, freeUnits: 1n, quotaPeriodBlocks: 1n },
      { ...OPEN_GATE, kind: ERC20, minBalance: 1n },
      { ...OPEN_GATE, kind: ERC20, token: chain.signer(5).address, minBalance: 1n },
      { ...OPEN_GATE, kind: ERC20, token },
      { ...OPEN_GATE, kind: ERC20, token, minBalance: 1n, tokenId: 1n },
      { ...OPEN_GATE, kind: ERC721, token, minBalance: 1n, tokenId: 1n },
      { ...OPEN_GATE, kind: ERC20, token, minBalance: 1n, freeUnits: 1n },
      { ...OPEN_GATE, kind: ERC20, token, minBalance: 1n, quotaPeriodBlocks: 1n },
    ]
    for (const gate of gates) await revertsWith(register({ gate }), models, 'GateInvalid')
  })
})

describe('update', () => {
  it('2: another root is a new version; the earlier ones stay as they are', async () => {
    const user = chain.signer(1)
    const name = await newModel()
    const first = await chain.latest()
    const next = termsOf({ manifestRoot: id('root 2'), commitment: id('weights') })
    const events = await eventsOf(models.connect(user).update(name, next))
    assert.deepEqual(
      events.map((event) => event?.name),
      ['ModelVersionPublished', 'ModelTermsSet'],
    )
    assert.deepEqual(events[0]?.args, {
      modelHash: id(name),
      version: 2n,
      manifestRoot: id('root 2'),
      commitment: id('weights'),
    })
    // The same root with other terms is no new version.
    const same = await eventsOf(models.connect(user).update(name, { ...next, inputFloorWei: 9n }))
    assert.deepEqual(
      same.map((event) => event?.name),
      ['ModelTermsSet'],
    )
    const back = await eventsOf(models.connect(user).update(name, termsOf()))
    assert.equal(back[0]?.name, 'ModelVersionPublished')

    assert.equal((await models.modelOf(name)).version, 3n)
    const roots = await Promise.all(
      [1, 2, 3].map(async (n) => (await models.versionAt(name, n)).manifestRoot),
    )
    assert.deepEqual(roots, [id('root 1'), id('root 2'), id('root 1')])
    assert.equal((await models.versionAt(name, 1)).fromSec, first)
    for (const version of [0n, 4n]) {
      await revertsWith(models.versionAt(name, version), models, 'VersionUnknown', [id(name), version])
    }
  })

  it('error: a stranger, and a name that nobody has', async () => {
    const name = await newModel()
    const stranger = models.connect(chain.signer(2))
    const args = [id(name), chain.signer(2).address]
    await revertsWith(stranger.update(name, termsOf()), models, 'NotModelOwner', args)
    await revertsWith(stranger.offerModel(name, stranger), models, 'NotModelOwner', args)
    await revertsWith(stranger.update('nobody/has', termsOf()), models, 'ModelUnknown', [id('nobody/has')])
    await revertsWith(models.modelOf('nobody/has'), models, 'ModelUnknown')
    await revertsWith(models.modelByHash(id('nobody/has')), models, 'ModelUnknown')
    await revertsWith(models.versionAt('nobody/has', 1), models, 'ModelUnknown')
  })
})

describe('ownership', () => {
  it('1: passes only by an offer and its acceptance', async () => {
    const [from, to, other] = [chain.signer(3), chain.signer(4), chain.signer(5)]
    const name = await newModel({}, 3)
    await revertsWith(models.connect(to).acceptModel(name), models, 'NotPendingOwner')
    await models.connect(from).offerModel(name, other)
    await models.connect(from).offerModel(name, to)
    await revertsWith(models.connect(other).acceptModel(name), models, 'NotPendingOwner', [
      id(name),
      other.address,
    ])
    assert.equal((await models.modelOf(name)).pendingOwner, to.address)
    await models.connect(to).acceptModel(name)
    const model = await models.modelOf(name)
    assert.deepEqual([model.owner, model.pendingOwner], [to.address, ZeroAddress])
    await revertsWith(models.connect(from).update(name, termsOf()), models, 'NotModelOwner')
    await revertsWith(models.connect(to).acceptModel(name), models, 'NotPendingOwner')
    assert.equal((await models.modelsOf(from.address, 0, 50)).total, 0n)
    const { page, total } = await models.modelsOf(to.address, 0, 50)
    assert.deepEqual([page.map(({ modelId }) => modelId), total], [[name], 1n])

    await models.connect(to).offerModel(name, other)
    await models.connect(to).offerModel(name, ZeroAddress)
    await revertsWith(models.connect(other).acceptModel(name), models, 'NotPendingOwner')
  })

  it('behavior: pages end where the list does', async () => {
    const { page, total } = await models.models(1, 2)
    assert.equal(page.length, 2)
    assert.ok(total > 3n)
    assert.equal((await models.models(total - 1n, 50)).page.length, 1)
    assert.equal((await models.models(total + 9n, 50)).page.length, 0)
    assert.equal((await models.models(0, 0)).page.length, 0)
    await revertsWith(models.models(0, 51), models, 'PageTooLarge', [51n, 50n])
    await revertsWith(models.modelsOf(owner.address, 0, 51), models, 'PageTooLarge', [51n, 50n])
  })
})

describe('canUse', () => {
  it('default: without a gate, and without a registration, everybody', async () => {
    assert.deepEqual([...(await models.canUse(await newModel(), ZeroAddress))], [true, PASSED])
    assert.deepEqual([...(await models.canUse('nobody/has', ZeroAddress))], [true, PASSED])
  })

  it('behavior: ERC-20, ERC-721 and ERC-1155 by the balance of this moment', async () => {
    const [holder, other] = [chain.signer(6).address, chain.signer(7).address]
    const cases: [Gate, () => Promise<unknown>, () => Promise<unknown>][] = [
      [
        await gateOf(ERC20, coin, { minBalance: 100n }),
        async () => coin.mint(holder, 99n),
        async () => coin.mint(holder, 1n),
      ],
      [await gateOf(ERC721, pass), async () => undefined, async () => pass.mint(holder, 1n)],
      [
        await gateOf(ERC1155, many, { tokenId: 7n, minBalance: 2n }),
        async () => many.mint(holder, 8n, 50n),
        async () => many.mint(holder, 7n, 2n),
      ],
    ]
    for (const [gate, before, after] of cases) {
      const name = await newModel({ gate })
      await before()
      assert.deepEqual([...(await models.canUse(name, holder))], [false, BALANCE_TOO_LOW])
      await after()
      assert.deepEqual([...(await models.canUse(name, holder))], [true, PASSED])
      assert.deepEqual([...(await models.canUse(name, other))], [false, BALANCE_TOO_LOW])
      assert.equal(await models.probeGate(gate, holder), PASSED)
    }
    await coin.connect(chain.signer(6)).transfer(other, 1n)
    assert.equal(await models.probeGate(await gateOf(ERC20, coin, { minBalance: 100n }), holder), 1n)
  })

  it('3: no token can make a read revert or cost more than its limit', async () => {
    const holder = chain.signer(6).address
    const gate = await gateOf(ERC20, hostile, { freeUnits: 10n, quotaPeriodBlocks: 100n })
    const name = await newModel({ gate })
    const erc721 = await newModel({ gate: { ...gate, kind: ERC721 } })
    const answers = [
      ['a word', PASSED],
      ['a revert', TOKEN_FAILED],
      ['a huge revert', TOKEN_FAILED],
      ['all gas', TOKEN_FAILED],
      ['nothing', TOKEN_FAILED],
      ['half a word', TOKEN_FAILED],
      ['two words', TOKEN_FAILED],
      ['huge data', TOKEN_FAILED],
    ] as const
    const limit = 21_000n + 3n * (await models.GATE_GAS()) + 60_000n
    for (const [index, [what, expected]] of answers.entries()) {
      await hostile.setAnswer(index)
      assert.equal((await models.canUse(name, holder, { gasLimit: limit })).reason, expected, what)
      assert.equal((await models.quotaOf(name, holder, 0, { gasLimit: limit })).reason, expected, what)
      // A word of 1000 is a balance, but no address of an owner.
      const asOwner = (await models.quotaOf(erc721, holder, 0, { gasLimit: limit })).reason
      assert.equal(asOwner, expected === PASSED ? NOT_TOKEN_OWNER : TOKEN_FAILED, what)
    }
  })

  it('behavior: a token whose code is gone shuts the gate', async () => {
    const name = await newModel({
      gate: await gateOf(ERC20, await new GateErc20Mock__factory(owner).deploy()),
    })
    const { token } = (await models.modelOf(name)).terms.gate
    await chain.rpc.request({ method: 'hardhat_setCode', params: [token, '0x'] })
    assert.deepEqual([...(await models.canUse(name, owner.address))], [false, TOKEN_FAILED])
  })
})

describe('quotaOf', () => {
  const coder = AbiCoder.defaultAbiCoder()
  const subjectOf = (name: string, gate: Gate, counted: bigint) =>
    keccak256(
      coder.encode(
        ['bytes32', 'uint8', 'address', 'uint256', 'uint256'],
        [id(name), gate.kind, gate.token, gate.tokenId, counted],
      ),
    )

  it('default: no gate, no registration, no free units: nothing is free', async () => {
    for (const name of [
      await newModel(),
      'nobody/has',
      await newModel({ gate: await gateOf(ERC20, coin) }),
    ]) {
      const { quota, reason } = await models.quotaOf(name, owner.address, 0)
      assert.deepEqual([quota.subject, quota.freeUnits, reason], [ZeroHash, 0n, PASSED])
    }
  })

  it('behavior: ERC-721 is counted per token id, whoever owns it', async () => {
    const [alice, bob] = [chain.signer(8), chain.signer(9)]
    const gate = await gateOf(ERC721, pass, { freeUnits: 50n, quotaPeriodBlocks: 1_000n })
    const name = await newModel({ gate })
    await pass.mint(alice, 77n)
    const held = await models.quotaOf(name, alice, 77n)
    assert.deepEqual([held.reason, held.quota.freeUnits], [PASSED, 50n])
    assert.equal(held.quota.subject, subjectOf(name, gate, 77n))
    await pass.mint(bob, 78n)
    assert.equal((await models.quotaOf(name, bob, 77n)).reason, NOT_TOKEN_OWNER)
    assert.equal((await models.quotaOf(name, alice, 999n)).reason, NOT_TOKEN_OWNER)
    await pass.connect(alice).transferFrom(alice, bob, 77n)
    assert.equal((await models.quotaOf(name, alice, 77n)).reason, BALANCE_TOO_LOW)
    const passed = await models.quotaOf(name, bob, 77n)
    assert.deepEqual([passed.reason, passed.quota.subject], [PASSED, held.quota.subject])
  })

  it('behavior: each coin counts for one address per period, however it is passed around', async () => {
    const [alice, bob] = [chain.signer(10), chain.signer(11)]
    const gate = await gateOf(ERC20, coin, { minBalance: 1_000n, freeUnits: 50n, quotaPeriodBlocks: 20n })
    await coin.mint(alice, 1_000n)
    const name = await newModel({ gate })
    const gateBlock = await chain.head()
    // The gate is younger than its period: the block it was set in is the first one's snapshot.
    const young = await models.quotaOf(name, alice, 0)
    assert.equal(young.quota.snapshotBlock, gateBlock)
    assert.equal(young.quota.subject, subjectOf(name, gate, BigInt(alice.address)))

    await coin.connect(alice).transfer(bob, 1_000n)
    const { quota, reason } = await models.quotaOf(name, bob, 0)
    assert.equal(reason, PASSED)
    const then = { blockTag: Number(quota.snapshotBlock) }
    assert.equal(await models.probeGate(gate, bob, then), BALANCE_TOO_LOW)
    assert.equal(await models.probeGate(gate, alice, then), PASSED)
    assert.equal((await models.quotaOf(name, alice, 0)).reason, BALANCE_TOO_LOW)

    // In the next period they count for who held them when it began.
    await chain.mine(20n - ((await chain.head()) % 20n))
    const next = await models.quotaOf(name, bob, 0)
    assert.equal(next.quota.snapshotBlock, (await chain.head()) - ((await chain.head()) % 20n))
    assert.ok(next.quota.snapshotBlock > quota.snapshotBlock)
    assert.equal(await models.probeGate(gate, bob, { blockTag: Number(next.quota.snapshotBlock) }), PASSED)

    // Another gate begins a snapshot of its own; the same gate again does not.
    const user = chain.signer(1)
    await models.connect(user).update(name, { ...termsOf(), gate })
    assert.equal((await models.quotaOf(name, bob, 0)).quota.snapshotBlock, next.quota.snapshotBlock)
    await models.connect(user).update(name, { ...termsOf(), gate: { ...gate, freeUnits: 60n } })
    assert.equal((await models.quotaOf(name, bob, 0)).quota.snapshotBlock, await chain.head())
  })

  it('behavior: ERC-1155 is counted per address and id', async () => {
    const alice = chain.signer(12)
    const gate = await gateOf(ERC1155, many, { tokenId: 5n, freeUnits: 50n, quotaPeriodBlocks: 1_000n })
    const name = await newModel({ gate })
    await many.mint(alice, 5n, 1n)
    const { quota, reason } = await models.quotaOf(name, alice, 123n)
    assert.deepEqual([quota.subject, reason], [subjectOf(name, gate, BigInt(alice.address)), PASSED])
  })
})

describe('coins', () => {
  it('4: the registry takes none', async () => {
    const to = await models.getAddress()
    const data = models.interface.encodeFunctionData('acceptModel', [await newModel()])
    for (const payment of [
      { to, value: 1n },
      { to, data, value: 1n },
    ])
      await assert.rejects(owner.sendTransaction(payment))
    assert.equal(await chain.balanceOf(to), 0n)
  })
})

describe('price floor', () => {
  it('behavior: a service lists a registered model at its floor or above, any other at any price', async () => {
    const model = await newModel({ inputFloorWei: 10n, outputFloorWei: 20n })
    const seller = await chain.newSeller(13, { model: 'not/registered', inputPrice: 0n, outputPrice: 0n })
    assert.equal(await chain.serving.modelRegistry(), await models.getAddress())
    const announce = (inputPrice: bigint, outputPrice: bigint) =>
      seller.announce({ model, inputPrice, outputPrice })
    const args = (input: bigint, output: bigint) => [input, output, 10n, 20n]
    await revertsWith(announce(9n, 20n), chain.serving, 'PriceBelowFloor', args(9n, 20n))
    await revertsWith(announce(10n, 19n), chain.serving, 'PriceBelowFloor', args(10n, 19n))
    await announce(10n, 20n)
    assert.equal((await chain.serving.pendingServiceOf(seller.address)).service.model, model)
    // A raised floor does not touch what is listed, but the next change.
    await models.connect(chain.signer(1)).update(model, { ...termsOf(), inputFloorWei: 11n })
    assert.equal((await chain.serving.pendingServiceOf(seller.address)).service.inputPrice, 10n)
    await revertsWith(announce(10n, 20n), chain.serving, 'PriceBelowFloor')
    await announce(11n, 0n)
  })

  it('behavior: who takes a name that others serve cannot keep them from changing the rest of their service', async () => {
    const model = 'unregistered/served'
    const seller = await chain.newSeller(14, { model, inputPrice: 2n, outputPrice: 3n })
    const floors = { inputFloorWei: 2n ** 96n - 1n, outputFloorWei: 2n ** 96n - 1n }
    await models.connect(chain.signer(1)).register(model, { ...termsOf(), ...floors })
    await seller.announce({ model, url: 'https://elsewhere.example' })
    assert.equal((await chain.serving.getService(seller.address)).url, 'https://elsewhere.example')
    await seller.announce({ model, inputPrice: 3n })
    await revertsWith(seller.announce({ model, inputPrice: 1n }), chain.serving, 'PriceBelowFloor')
    await seller.serving.removeService()
    await revertsWith(seller.announce({ model }), chain.serving, 'PriceBelowFloor')
  })
})

describe('gas', () => {
  it('behavior: as committed', async () => {
    const user = models.connect(chain.signer(1))
    const gate = await gateOf(ERC20, coin, { freeUnits: 10n, quotaPeriodBlocks: 10n })
    gas['register without a gate'] = { gas: await gasOf(user.register('gas/open', termsOf())) }
    gas['register with a gate'] = { gas: await gasOf(user.register('gas/gated', { ...termsOf(), gate })) }
    const next = { ...termsOf({ manifestRoot: id('gas 2') }), gate }
    gas['update, another root'] = { gas: await gasOf(user.update('gas/gated', next)) }
    gas['canUse, ERC-20'] = { gas: await models.canUse.estimateGas('gas/gated', chain.signer(6)) }
    compareGas('compute-models', gas)
  })
})
