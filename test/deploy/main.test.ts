import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { toQuantity } from 'ethers'
import type { Measured } from '../../deploy/deploy-params.ts'
import { devAccount } from '../../deploy/dev-account.ts'
import { networkByName } from '../../deploy/networks.ts'
import { toJson } from '../../deploy/write-file.ts'
import { ROOT } from '../support/repository.ts'
import { startAnvil } from './anvil-chain.ts'

const galileo = networkByName('galileo')
const folder = mkdtempSync(join(tmpdir(), 'zerog-deploy-cli-'))
after(() => rmSync(folder, { recursive: true }))

/** Runs `npm run deploy`'s program with nobody at the keyboard; only the given variables reach it. */
async function deploy(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [join(ROOT, 'dist/deploy/main.js'), ...args], {
    cwd: folder,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  child.stderr.on('data', (chunk) => {
    stderr += chunk
  })
  const [status] = await once(child, 'close')
  return { status: status as number, stdout, stderr }
}

/** A node that looks like Galileo: its chain id, and blocks two seconds apart. */
async function startGalileo() {
  const anvil = await startAnvil('--chain-id', String(galileo.chainId))
  await anvil.provider.send('anvil_mine', [toQuantity(250), toQuantity(2)])
  return anvil
}

describe('npm run deploy', () => {
  it('default: deploys to localhost from development account 1 and says where everything is', async () => {
    await using anvil = await startAnvil()
    const out = join(folder, 'default')
    const run = await deploy(['--network', 'localhost', '--json', '--out', out], { RPC_URL: anvil.url })
    assert.equal(run.status, 0, run.stderr)
    assert.match(run.stderr, /deployed and checked/)
    const { book } = JSON.parse(run.stdout) as { book: { deployer: string } }
    assert.equal(book.deployer, devAccount(1).address)

    const again = await deploy(['--network', 'localhost', '--out', out], { LOCALHOST_RPC_URL: anvil.url })
    assert.equal(again.status, 0)
    assert.match(again.stderr, /already deployed, nothing sent/)
  })

  it('behavior: a dry run prices every step and touches nothing', async () => {
    await using anvil = await startGalileo()
    const out = join(folder, 'dry')
    const env = { GALILEO_RPC_URL: anvil.url, DEPLOYER_PRIVATE_KEY: devAccount(1).privateKey }
    const run = await deploy(['--network', 'galileo', '--dry-run', '--json', '--out', out], env)
    assert.equal(run.status, 0, run.stderr)
    const { plan, probe } = JSON.parse(run.stdout) as {
      plan: { steps: { step: { id: string }; gas: string }[]; costWei: string }
      probe: { blockSec: number }
    }
    assert.ok(Math.abs(probe.blockSec - 2) < 0.1, `${probe.blockSec} s a block`)
    assert.equal(plan.steps.length, 27)
    for (const { step, gas } of plan.steps) assert.ok(BigInt(gas) > 21_000n, step.id)
    assert.ok(BigInt(plan.costWei) > 0n)
    assert.equal(await anvil.nonceOf(devAccount(1).address), 0)
    assert.ok(!readdirSync(folder).includes('dry'))
  })

  it('error: a live network without a yes', async () => {
    await using anvil = await startGalileo()
    const env = { RPC_URL: anvil.url, DEPLOYER_PRIVATE_KEY: devAccount(1).privateKey }
    const run = await deploy(['--network', 'galileo', '--out', join(folder, 'no')], env)
    assert.equal(run.status, 64)
    assert.match(run.stderr, /CONFIRMATION_NEEDED/)
    assert.equal(await anvil.nonceOf(devAccount(1).address), 0)
  })

  it('behavior: with --yes it waits for confirmations; the key comes from a keystore', async () => {
    await using anvil = await startGalileo()
    // Blocks on top of each transaction, faster than a real network's.
    const miner = setInterval(() => void anvil.provider.send('evm_mine', []), 100)
    const passwordFile = join(folder, 'password')
    const keystore = join(folder, 'keystore.json')
    writeFileSync(passwordFile, 'correct horse\n')
    writeFileSync(keystore, await devAccount(1).encrypt('correct horse'))
    const env = {
      RPC_URL: anvil.url,
      DEPLOYER_KEYSTORE_FILE: keystore,
      DEPLOYER_KEYSTORE_PASSWORD_FILE: passwordFile,
      OWNER_ADDRESS: devAccount(2).address,
    }
    const args = ['--network', 'galileo', '--yes', '--json', '--out', join(folder, 'yes')]
    const run = await deploy(args, env).finally(() => clearInterval(miner))
    assert.equal(run.status, 0, run.stderr)
    const { book } = JSON.parse(run.stdout) as {
      book: { owner: string; measured: Measured; params: unknown }
    }
    assert.equal(book.owner, devAccount(2).address)
    assert.ok(book.measured.blockSec > 1 && book.measured.blockSec <= 2)
    assert.equal(toJson(book.params), toJson(galileo.resolve(book.measured)))
    assert.equal(await anvil.nonceOf(devAccount(1).address), 32)
  })

  it('error: bad arguments and missing settings, each with its code', async () => {
    const cases: [string[], Record<string, string>, number, RegExp][] = [
      [[], {}, 64, /usage: npm run deploy/],
      [['--network', 'localhost', '--speed', '9'], {}, 64, /BAD_REQUEST: Unknown option '--speed'/],
      [['--network', 'moon'], {}, 78, /CONFIG_INVALID: unknown network "moon"/],
      [['--network', 'galileo'], {}, 78, /set GALILEO_RPC_URL or RPC_URL/],
      [['--network', 'galileo'], { RPC_URL: 'http://127.0.0.1:9' }, 78, /set DEPLOYER_KEYSTORE_FILE/],
      [['--network', 'localhost'], { OWNER_ADDRESS: '0x12' }, 78, /OWNER_ADDRESS: must be an address/],
      [
        ['--network', 'localhost'],
        { DEPLOYER_PRIVATE_KEY: 'hunter2' },
        78,
        /DEPLOYER_PRIVATE_KEY: must be 64 hex/,
      ],
    ]
    for (const [args, env, status, message] of cases) {
      const run = await deploy(args, env)
      assert.equal(run.status, status, `${args.join(' ')}: ${run.stderr}`)
      assert.match(run.stderr, message)
      assert.doesNotMatch(run.stderr, /hunter2|^\s+at /m)
    }
  })

  it('error: the wrong chain', async () => {
    await using anvil = await startAnvil('--chain-id', '999')
    const run = await deploy(['--network', 'localhost'], { RPC_URL: anvil.url })
    assert.equal(run.status, 78)
    assert.match(run.stderr, /WRONG_CHAIN: the RPC serves chain 999; localhost is 31337/)
  })
})
