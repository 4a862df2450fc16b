import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Contract, getCreateAddress, parseEther, toQuantity, ZeroAddress } from 'ethers'
import { contractsOf } from '../../deploy/address-book.ts'
import { loadArtifact } from '../../deploy/artifact.ts'
import { deployAll } from '../../deploy/deploy-all.ts'
import { devAccount } from '../../deploy/dev-account.ts'
import { networkByName } from '../../deploy/networks.ts'
import { prepareDeployment } from '../../deploy/prepare.ts'
import {
  COMPUTE_CONTRACT_NAMES,
  CONTRACT_NAMES,
  DA_CONTRACT_NAMES,
  parseAddressBook,
} from '../../sdk/chain/address-book.ts'
import { startAnvil } from './anvil-chain.ts'

const localhost = networkByName('localhost')
const deployer = devAccount(1).address
const computeDeployer = devAccount(0).address
const STEPS_WITHOUT_HANDOVER = 24
const STEPS_WITHOUT_DA = 16
/** Three contracts, and four transactions that only fill nonces. */
const COMPUTE_STEPS = 7

/** What `@0gfoundation/0g-compute-ts-sdk` 0.9.0 has built in for chain 31337. */
const PUBLIC_LEDGER = '0x9fE46736679d2D9a65F0992F2272dE9f3c7fa6e0'
const PUBLIC_INFERENCE = '0x0165878A594ca255338adfa4d48449f69242Eb8F'

const folders: string[] = []
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

function emptyFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'zerog-deploy-'))
  folders.push(folder)
  return folder
}

type Anvil = Awaited<ReturnType<typeof startAnvil>>

function optionsFor(
  anvil: Anvil,
  directory: string,
  more: Partial<deployAll.Options> = {},
): deployAll.Options {
  const { provider } = anvil
  return {
    provider,
    signer: devAccount(1).connect(provider),
    network: localhost,
    directory,
    pollMs: 5,
    ...more,
  }
}

const codeOf = (code: string) => (error: unknown) => {
  assert.equal((error as { code?: unknown }).code, code, String(error))
  return true
}

/** Runs the deployment in a process of its own that kills itself at a line; returns the signal that ended it. */
async function killedAt(anvil: Anvil, directory: string, kind: string, step: string): Promise<unknown> {
  const script = fileURLToPath(new URL('./killed-deployment.js', import.meta.url))
  const child = spawn(process.execPath, [script, anvil.url, directory, kind, step], { stdio: 'inherit' })
  const [, signal] = await once(child, 'close')
  return signal
}

describe('deployAll', () => {
  it('default: deploys, wires and records everything, within the planned gas', async () => {
    await using anvil = await startAnvil()
    const directory = emptyFolder()
    const options = optionsFor(anvil, directory)
    const prepared = await prepareDeployment(options)
    assert.equal(prepared.kind, 'planned')
    const { book, alreadyDeployed } = await deployAll(options)

    assert.equal(alreadyDeployed, false)
    assert.deepEqual(readdirSync(directory), ['31337.json'])
    const read = parseAddressBook(JSON.parse(readFileSync(join(directory, '31337.json'), 'utf8')))
    for (const name of [...CONTRACT_NAMES, ...DA_CONTRACT_NAMES, ...COMPUTE_CONTRACT_NAMES])
      assert.equal(read.contracts[name]?.address, book.contracts[name]?.address)
    assert.equal(await anvil.nonceOf(deployer), STEPS_WITHOUT_HANDOVER)
    assert.equal(await anvil.nonceOf(computeDeployer), COMPUTE_STEPS)

    const market = new Contract(
      book.contracts.StorageMarket.address,
      loadArtifact('StorageMarket').abi,
      anvil.provider,
    )
    assert.equal(await market.getFunction('flow')(), book.contracts.Flow.address)
    assert.equal(await market.getFunction('prover')(), book.contracts.StorageProver.address)
    assert.equal(await market.getFunction('pricePerSectorPeriod')(), 1_000_000_000n)

    let gasUsed = 0n
    for (let number = 1; number <= STEPS_WITHOUT_HANDOVER + COMPUTE_STEPS; number++) {
      gasUsed += (await anvil.provider.getBlock(number))?.gasUsed ?? 0n
    }
    assert.ok(prepared.plan.gas >= gasUsed, `planned ${prepared.plan.gas}, used ${gasUsed}`)
    assert.ok(prepared.plan.gas < gasUsed * 2n, `planned ${prepared.plan.gas}, used ${gasUsed}`)
  })

  it('behavior: compute stands where the public client looks for it on this chain id', async () => {
    await using anvil = await startAnvil()
    const { book } = await deployAll(optionsFor(anvil, emptyFolder()))
    assert.equal(book.contracts.LedgerManager?.address, PUBLIC_LEDGER)
    assert.equal(book.contracts.InferenceServing?.address, PUBLIC_INFERENCE)
    const ledger = new Contract(PUBLIC_LEDGER, loadArtifact('LedgerManager').abi, anvil.provider)
    const info = (await ledger.getFunction('getServiceInfo')(PUBLIC_INFERENCE)) as { fullName: string }
    assert.equal(info.fullName, 'inference-v1.0')
  })

  it('behavior: predicts the addresses that the contracts get', async () => {
    await using anvil = await startAnvil()
    const options = optionsFor(anvil, emptyFolder())
    const prepared = await prepareDeployment(options)
    assert.ok(prepared.kind === 'planned')
    const { book } = await deployAll(options)
    const planned = prepared.plan.steps.flatMap(({ address }) => address ?? [])
    assert.deepEqual(
      planned,
      contractsOf(book).map(([, { address }]) => address),
    )
  })

  it('behavior: without data availability the rest stands alone, and is told apart', async () => {
    await using anvil = await startAnvil('--hardfork', 'cancun')
    const options = optionsFor(anvil, emptyFolder(), { withoutDa: true })
    const { book } = await deployAll(options)
    assert.deepEqual(
      contractsOf(book).map(([name]) => name),
      [...CONTRACT_NAMES, ...COMPUTE_CONTRACT_NAMES],
    )
    assert.equal(await anvil.nonceOf(deployer), STEPS_WITHOUT_DA)
    assert.equal((await deployAll(options)).alreadyDeployed, true)
  })

  it('behavior: a finished deployment is recognized and nothing is sent', async () => {
    await using anvil = await startAnvil()
    const options = optionsFor(anvil, emptyFolder())
    const first = await deployAll(options)
    const second = await deployAll(options)
    assert.equal(second.alreadyDeployed, true)
    assert.equal(JSON.stringify(second.book), JSON.stringify(JSON.parse(JSON.stringify(first.book))))
    assert.equal(await anvil.nonceOf(deployer), STEPS_WITHOUT_HANDOVER)
  })

  it('behavior: without a folder nothing is written', async () => {
    await using anvil = await startAnvil()
    const { book } = await deployAll({ ...optionsFor(anvil, ''), directory: undefined })
    assert.notEqual(await anvil.provider.getCode(book.contracts.Flow.address), '0x')
  })

  it('behavior: hands the contracts over to the owner, who accepts', async () => {
    await using anvil = await startAnvil()
    const owner = devAccount(2).connect(anvil.provider)
    const directory = emptyFolder()
    const { book } = await deployAll(optionsFor(anvil, directory, { owner: owner.address }))
    for (const name of ['Staking', 'StorageMarket', 'LedgerManager', 'InferenceServing'] as const) {
      const contract = new Contract(book.contracts[name]?.address ?? '', loadArtifact(name).abi, owner)
      assert.equal(await contract.getFunction('owner')(), deployer)
      assert.equal(await contract.getFunction('pendingOwner')(), owner.address)
      const accepted = await contract.getFunction('acceptOwnership')()
      await accepted.wait()
      assert.equal(await contract.getFunction('owner')(), owner.address)
      assert.equal(await contract.getFunction('pendingOwner')(), ZeroAddress)
    }
    const again = await deployAll(optionsFor(anvil, directory, { owner: owner.address }))
    assert.equal(again.alreadyDeployed, true)
  })

  it('behavior: a development chain that began anew is deployed to again', async () => {
    const directory = emptyFolder()
    {
      await using anvil = await startAnvil('--timestamp', '1800000000')
      await deployAll(optionsFor(anvil, directory))
    }
    await using anvil = await startAnvil('--timestamp', '1800000500')
    assert.equal((await deployAll(optionsFor(anvil, directory))).alreadyDeployed, false)
  })
})

describe('deployAll, interrupted', () => {
  it('behavior: killed at any kind of line, it goes on and sends nothing twice', async () => {
    await using anvil = await startAnvil()
    const directory = emptyFolder()
    const kills = [
      ['signed', 'Beacon'],
      ['sent', 'Staking'],
      ['mined', 'Flow'],
      ['recorded', 'StorageMarket.wire'],
      ['signed', 'Staking.registerService'],
      ['mined', 'Staking.registerService'],
      ['sent', 'DataAvailability'],
      ['recorded', 'DaCommittee.wire'],
      ['mined', 'InferenceCatalog'],
      ['signed', 'compute.nonce.1'],
      ['sent', 'LedgerManager'],
      ['mined', 'compute.nonce.5'],
      ['recorded', 'InferenceServing'],
    ] as const
    for (const [kind, step] of kills) {
      assert.equal(await killedAt(anvil, directory, kind, step), 'SIGKILL', `${kind} ${step}`)
      assert.deepEqual(
        readdirSync(directory).filter((name) => name === '31337.json'),
        [],
      )
    }
    const { book } = await deployAll(optionsFor(anvil, directory))
    assert.deepEqual(readdirSync(directory), ['31337.json'])
    assert.equal(await anvil.nonceOf(deployer), STEPS_WITHOUT_HANDOVER)
    const expected = CONTRACT_NAMES.map((_name, nonce) => getCreateAddress({ from: deployer, nonce }))
    assert.deepEqual(
      CONTRACT_NAMES.map((name) => book.contracts[name].address),
      expected,
    )
    assert.ok(DA_CONTRACT_NAMES.every((name) => book.contracts[name] !== undefined))
    assert.equal(await anvil.nonceOf(computeDeployer), COMPUTE_STEPS)
    assert.equal(book.contracts.InferenceServing?.address, PUBLIC_INFERENCE)
  })

  it('behavior: a transaction that still waits in the pool is adopted', async () => {
    await using anvil = await startAnvil('--no-mining')
    const directory = emptyFolder()
    assert.equal(await killedAt(anvil, directory, 'sent', 'Beacon'), 'SIGKILL')
    assert.equal(await anvil.nonceOf(deployer), 0)
    await anvil.provider.send('evm_setAutomine', [true])
    await anvil.provider.send('evm_mine', [])
    await deployAll(optionsFor(anvil, directory))
    assert.equal(await anvil.nonceOf(deployer), STEPS_WITHOUT_HANDOVER)
  })

  it('behavior: a transaction that waits too long is sent again with a higher fee, and mined once', async () => {
    await using anvil = await startAnvil('--no-mining')
    const directory = emptyFolder()
    const hashes = new Set<string>()
    const onEvent: deployAll.Options['onEvent'] = ({ kind, step, hash }) => {
      if (step !== 'Beacon' || kind !== 'sent') return
      hashes.add(hash)
      // Mining begins once there is a replacement; everything after it is mined at once.
      if (hashes.size === 3) {
        void anvil.provider.send('evm_setAutomine', [true]).then(() => anvil.provider.send('evm_mine', []))
      }
    }
    await deployAll(optionsFor(anvil, directory, { speedUpMs: 200, onEvent }))
    assert.ok(hashes.size >= 3)
    assert.equal(await anvil.nonceOf(deployer), STEPS_WITHOUT_HANDOVER)
  })

  it('behavior: a nonce that another transaction took is not waited for', async () => {
    await using anvil = await startAnvil()
    const directory = emptyFolder()
    assert.equal(await killedAt(anvil, directory, 'signed', 'OperatorRegistry'), 'SIGKILL')
    const foreign = await devAccount(1).connect(anvil.provider).sendTransaction({ to: deployer, value: 1n })
    await foreign.wait()
    const { book } = await deployAll(optionsFor(anvil, directory))
    assert.equal(await anvil.nonceOf(deployer), STEPS_WITHOUT_HANDOVER + 1)
    assert.equal(book.contracts.OperatorRegistry.address, getCreateAddress({ from: deployer, nonce: 2 }))
  })

  it('error: another owner than the interrupted run had', async () => {
    await using anvil = await startAnvil()
    const directory = emptyFolder()
    await killedAt(anvil, directory, 'recorded', 'Beacon')
    const other = optionsFor(anvil, directory, { owner: devAccount(5).address })
    await assert.rejects(deployAll(other), codeOf('DEPLOYMENT_DIFFERS'))
    assert.equal(await anvil.nonceOf(deployer), 1)
    await deployAll({ ...other, fresh: true })
    assert.ok(existsSync(join(directory, '31337.json')))
  })
})

describe('deployAll, refused', () => {
  it('error: data availability on a chain without its precompiles, and nothing is sent', async () => {
    await using anvil = await startAnvil('--hardfork', 'cancun')
    await assert.rejects(deployAll(optionsFor(anvil, emptyFolder())), (error: Error) => {
      assert.match(error.message, /lacks precompiles: 0x0b \(G1 addition\).*0x11.*--without-da/)
      return codeOf('NETWORK_REFUSED')(error)
    })
    assert.equal(await anvil.nonceOf(deployer), 0)
  })

  it('error: data availability where a deployment without it stands', async () => {
    await using anvil = await startAnvil()
    const options = optionsFor(anvil, emptyFolder())
    await deployAll({ ...options, withoutDa: true })
    await assert.rejects(deployAll(options), codeOf('DEPLOYMENT_DIFFERS'))
  })

  it('error: quorums that do not outweigh the adversary cannot be deployed', async () => {
    await using anvil = await startAnvil()
    const unsafe: typeof localhost = {
      ...localhost,
      resolve: (measured) => {
        const { da, ...params } = localhost.resolve(measured)
        return { ...params, da: { ...da, blobs: { ...da.blobs, finalColumns: 106 } } }
      },
    }
    await assert.rejects(deployAll(optionsFor(anvil, emptyFolder(), { network: unsafe })), (error: Error) => {
      assert.match(error.message, /unsafe quorum/)
      return codeOf('TX_REVERTED')(error)
    })
  })

  it('error: another chain id', async () => {
    await using anvil = await startAnvil('--chain-id', '999')
    await assert.rejects(deployAll(optionsFor(anvil, emptyFolder())), codeOf('WRONG_CHAIN'))
    assert.equal(await anvil.nonceOf(deployer), 0)
  })

  it('error: an empty purse, with the numbers, and nothing written', async () => {
    await using anvil = await startAnvil()
    await anvil.provider.send('anvil_setBalance', [deployer, toQuantity(parseEther('0.001'))])
    const directory = emptyFolder()
    await assert.rejects(deployAll(optionsFor(anvil, directory)), (error: Error) => {
      assert.match(error.message, /has 0\.001; the deployment may cost 0\.\d+/)
      return codeOf('INSUFFICIENT_FUNDS')(error)
    })
    assert.deepEqual(readdirSync(directory), [])
    assert.equal(await anvil.nonceOf(deployer), 0)
  })

  it('error: other parameters than those that stand; fresh deploys anew and keeps the old book', async () => {
    await using anvil = await startAnvil()
    const directory = emptyFolder()
    const options = optionsFor(anvil, directory)
    const first = await deployAll(options)
    const dearer: typeof localhost = {
      ...localhost,
      resolve: (measured) => ({ ...localhost.resolve(measured), listPriceWei: 7n }),
    }
    await assert.rejects(deployAll({ ...options, network: dearer }), codeOf('DEPLOYMENT_DIFFERS'))
    const second = await deployAll({ ...options, network: dearer, fresh: true })
    assert.notEqual(second.book.contracts.Flow.address, first.book.contracts.Flow.address)
    const kept = JSON.parse(readFileSync(join(directory, '31337.previous.json'), 'utf8')) as typeof first.book
    assert.equal(kept.contracts.Flow.address, first.book.contracts.Flow.address)
  })

  it('error: other code where the book says a contract is', async () => {
    await using anvil = await startAnvil()
    const options = optionsFor(anvil, emptyFolder())
    const { book } = await deployAll(options)
    await anvil.provider.send('anvil_setCode', [book.contracts.Flow.address, '0x00'])
    await assert.rejects(deployAll(options), (error: Error) => {
      assert.match(error.message, /not that of Flow$/)
      return codeOf('DEPLOYMENT_DIFFERS')(error)
    })
  })

  it('error: a contract tampered with before the last look is not recorded as deployed', async () => {
    await using anvil = await startAnvil()
    const directory = emptyFolder()
    const tamper = getCreateAddress({ from: deployer, nonce: 1 })
    let tampered: Promise<unknown> | undefined
    const onEvent: deployAll.Options['onEvent'] = ({ kind, step }) => {
      if (kind === 'mined' && step === 'StorageStreams.wire') {
        tampered = anvil.provider.send('anvil_setCode', [tamper, '0x00'])
      }
    }
    await assert.rejects(deployAll(optionsFor(anvil, directory, { onEvent })), codeOf('DEPLOYMENT_INVALID'))
    await tampered
    assert.deepEqual(readdirSync(directory), ['31337.partial.json'])
  })

  it('error: aborted in the middle, and taken up again', async () => {
    await using anvil = await startAnvil()
    const directory = emptyFolder()
    const stop = new AbortController()
    const onEvent: deployAll.Options['onEvent'] = ({ kind, step }) => {
      if (kind === 'sent' && step === 'StorageProver') stop.abort()
    }
    await assert.rejects(
      deployAll(optionsFor(anvil, directory, { onEvent, signal: stop.signal })),
      codeOf('ABORTED'),
    )
    await deployAll(optionsFor(anvil, directory))
    assert.equal(await anvil.nonceOf(deployer), STEPS_WITHOUT_HANDOVER)
  })
})
