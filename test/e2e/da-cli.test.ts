import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { concat, hexlify, id, keccak256, parseEther, SigningKey, Wallet } from 'ethers'
import { anyTrustRequestHash } from '../../agents/da/anytrust-signer.ts'
import { dastreeHash } from '../../sdk/protocol/dastree.ts'
import { loadHasher } from '../../sdk/protocol/hasher.ts'
import { type AnvilNetwork, startAnvilNetwork } from '../support/anvil-network.ts'
import { at } from '../support/content.ts'
import { freePort } from '../support/processes.ts'
import { tempDir } from '../support/temp-dir.ts'
import { until } from '../support/until.ts'
import { type CliRun, type RunningCli, runZerog, startZerog } from '../support/zerog-cli.ts'

const MINUTE_MS = 60_000
const UNKNOWN_BLOB = `0x${'ab'.repeat(32)}`
const POSTER = new SigningKey(id('a batch poster'))

let network: AnvilNetwork
let folder: string
let env: Record<string, string>

before(
  async () => {
    folder = tempDir()
    network = await startAnvilNetwork({
      agentCount: 1,
      daCount: 3,
      agentEnv: { ANYTRUST_BATCH_POSTERS: new Wallet(POSTER).address },
    })
    env = {
      RPC_URL: network.node.url,
      ADDRESS_BOOK: network.addressBook,
      PRIVATE_KEY: network.user.privateKey,
    }
    await until(
      'a committee of all three',
      async () => (await committee())?.members.length === 3,
      3 * MINUTE_MS,
    )
  },
  { timeout: 6 * MINUTE_MS },
)
after(() => network?.stop(), { timeout: MINUTE_MS })

function zerog(args: readonly string[], change: Record<string, string> = {}): Promise<CliRun> {
  return runZerog([...args, '--json'], { cwd: folder, env: { ...env, ...change } })
}

async function zerogOk<T>(args: readonly string[], change: Record<string, string> = {}): Promise<T> {
  const run = await zerog(args, change)
  assert.equal(run.code, 0, run.stderr)
  return run.json<T>()
}

type Committee = {
  epoch: string
  members: { operator: string; columns: number[]; isOut: boolean; endpoint: string }[]
}

async function committee(): Promise<Committee | undefined> {
  const run = await zerog(['da', 'committee'])
  return run.code === 0 ? run.json<Committee>() : undefined
}

function makeFile(name: string, bytes: Uint8Array): string {
  writeFileSync(join(folder, name), bytes)
  return name
}

type Published = { blobId: string; record: { status: string }; header: { blobCount: number }; feeWei: string }

describe('zerog da', () => {
  const bytes = randomBytes(300_001)
  let published: Published

  it('committee: members hold all 128 columns', async () => {
    const formed = await committee()
    assert.deepEqual(
      formed?.members.map(({ operator }) => operator).sort(),
      network.daAgents.map(({ address }) => address).sort(),
    )
    const columns = formed?.members.flatMap((member) => member.columns).sort((a, b) => a - b)
    assert.deepEqual(
      columns,
      Array.from({ length: 128 }, (_, column) => column),
    )
  })

  it('publish: paid by the user, FINAL', { timeout: 3 * MINUTE_MS }, async () => {
    makeFile('batch', bytes)
    const before = await network.provider.getBalance(network.user.address)
    published = await zerogOk<Published>(['da', 'publish', 'batch', '--retention', '10'])
    assert.match(published.blobId, /^0x[0-9a-f]{64}$/)
    assert.equal(published.record.status, 'final')
    assert.equal(published.header.blobCount, 3)
    assert.ok(BigInt(published.feeWei) > 0n)
    const spent = before - (await network.provider.getBalance(network.user.address))
    assert.ok(spent >= BigInt(published.feeWei))
    assert.deepEqual(readdirSync(join(folder, '.zerog', 'blobs', '31337')), [], 'nothing is left to resume')
  })

  it('status, sample and read: there, and the same bytes', { timeout: 2 * MINUTE_MS }, async () => {
    const { blobId } = published
    const status = await zerogOk<Record<string, unknown>>(['da', 'status', blobId])
    assert.deepEqual([status.status, status.signedColumns, status.isExpired], ['final', 128, false])
    const all = await zerogOk<{ total: string; blobs: { blobId: string }[] }>(['da', 'status'])
    assert.equal(at(all.blobs, 0).blobId, blobId)

    const verdict = await zerogOk<{ verdict: string; samples: unknown[]; foolChance: number }>([
      'da',
      'sample',
      blobId,
    ])
    assert.deepEqual([verdict.verdict, verdict.samples.length], ['AVAILABLE', 16])
    assert.ok(verdict.foolChance < 4e-6)

    await zerogOk(['da', 'read', blobId, 'back'])
    assert.ok(readFileSync(join(folder, 'back')).equals(bytes))
    const again = await zerog(['da', 'read', blobId, 'back'])
    assert.equal(again.errorCode(), 'FILE_EXISTS')
    await zerogOk(['da', 'read', blobId, 'back', '--force'])
  })

  const refusals: [name: string, args: string[], code: string][] = [
    ['an unknown blob', ['da', 'read', UNKNOWN_BLOB, 'x'], 'DA_UNKNOWN_BLOB'],
    ['an unknown blob', ['da', 'sample', UNKNOWN_BLOB], 'DA_UNKNOWN_BLOB'],
    ['an unknown blob', ['da', 'status', UNKNOWN_BLOB], 'DA_UNKNOWN_BLOB'],
    ['bad hex', ['da', 'read', '0x12', 'x'], 'BAD_HEX'],
    ['a file that is not there', ['da', 'publish', 'nowhere'], 'FILE_MISSING'],
    ['an empty file', ['da', 'publish', 'empty'], 'DA_EMPTY_PAYLOAD'],
    ['a file over the limit', ['da', 'publish', 'large'], 'DA_PAYLOAD_TOO_LARGE'],
    ['too many samples', ['da', 'sample', UNKNOWN_BLOB, '--samples', '129'], 'BAD_REQUEST'],
    ['an epoch that was never formed', ['da', 'committee', '--epoch', '999999'], 'DA_WRONG_EPOCH'],
  ]
  for (const [name, args, code] of refusals) {
    it(`error: ${args.slice(0, 2).join(' ')}: ${name}`, async () => {
      makeFile('empty', new Uint8Array())
      makeFile('large', new Uint8Array(32_505_826))
      const run = await zerog(args)
      assert.equal(run.errorCode(), code, run.stderr)
      assert.notEqual(run.code, 0)
    })
  }

  it('doctor: a DA operator is healthy', async () => {
    const { address } = at(network.daAgents, 1)
    const { healthy, findings } = await zerogOk<{ healthy: boolean; findings: { check: string }[] }>([
      'doctor',
      '--operator',
      address,
    ])
    assert.equal(healthy, true)
    const checks = findings.map(({ check }) => check)
    for (const check of ['stake', 'bond', 'committee', 'endpoint', 'agent', 'columns'])
      assert.ok(checks.includes(check), check)
  })
})

describe('the rollup fronts of a running agent', () => {
  const url = () => at(network.daAgents, 0).url
  const send = (path: string, init: RequestInit) =>
    fetch(`${url()}${path}`, { signal: AbortSignal.timeout(3 * MINUTE_MS), ...init })

  it('OP stack: /put 5 MiB, /get the same bytes from another node', { timeout: 5 * MINUTE_MS }, async () => {
    const payload = new Uint8Array(5 * 1024 * 1024)
    crypto.getRandomValues(payload.subarray(0, 65_536))
    const put = await send('/put', { method: 'POST', body: payload })
    assert.equal(put.status, 200, await put.clone().text())
    const commitment = hexlify(new Uint8Array(await put.arrayBuffer()))
    assert.match(commitment, /^0x017a[0-9a-f]{64}$/)
    const keccak = concat(['0x00', keccak256(payload)])
    for (const text of [commitment, keccak]) {
      const other = at(network.daAgents, 2).url
      const got = await fetch(`${other}/get/${text}`, { signal: AbortSignal.timeout(3 * MINUTE_MS) })
      assert.equal(got.status, 200, text)
      assert.ok(Buffer.from(await got.arrayBuffer()).equals(payload))
    }
    assert.equal((await send(`/get/0x017a${'cd'.repeat(32)}`, {})).status, 404)
  })

  it('AnyTrust: das_store, get-by-hash', { timeout: 3 * MINUTE_MS }, async () => {
    const hasher = await loadHasher()
    const message = randomBytes(10_000)
    const head = await network.provider.getBlock('latest')
    const timeoutSec = BigInt(head?.timestamp ?? 0) + 120n
    const { r, s, yParity } = POSTER.sign(anyTrustRequestHash(hasher, message, [timeoutSec]))
    const params = [hexlify(message), `0x${timeoutSec.toString(16)}`, `${r}${s.slice(2)}0${yParity}`]
    const response = await send('/', {
      method: 'POST',
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'das_store', params }),
    })
    const { result, error } = (await response.json()) as { result?: { dataHash: string }; error?: unknown }
    assert.equal(error, undefined, JSON.stringify(error))
    assert.equal(result?.dataHash, hexlify(dastreeHash(hasher, message)))
    const got = await send(`/get-by-hash/${result?.dataHash.slice(2)}`, {})
    const { data } = (await got.json()) as { data: string }
    assert.ok(Buffer.from(data, 'base64').equals(message))
  })
})

describe('zerog agent da', () => {
  let agent: RunningCli | undefined
  after(async () => {
    agent?.kill('SIGTERM')
    await agent?.done
  })

  it('from an empty folder to a seat in the committee', { timeout: 8 * MINUTE_MS }, async () => {
    const cwd = tempDir()
    const port = await freePort()
    const publicUrl = `http://127.0.0.1:${port}`
    const given = { RPC_URL: network.node.url, ADDRESS_BOOK: network.addressBook }
    const init = (more: string[]) =>
      runZerog(['agent', 'init', 'da', '--json', '--public-url', publicUrl, '--host', '127.0.0.1', ...more], {
        cwd,
        env: given,
      })
    const wish = ['--port', String(port), '--stake', '50', '--capacity', '1GB']
    const poor = await init(wish)
    assert.equal(poor.errorCode(), 'INSUFFICIENT_FUNDS', poor.stderr)
    const { meta } = (JSON.parse(poor.stderr) as { error: { meta: { operator: string } } }).error
    const funds = { to: meta.operator, value: parseEther('70') }
    await (await network.user.sendTransaction(funds)).wait()

    const done = await init(wish)
    assert.equal(done.code, 0, done.stderr)
    const sent = done.json<{ sent: string[]; backingWei: string }>()
    assert.deepEqual(sent.sent, ['registered', 'endpoint', 'bond', 'bonded', 'staked', 'allocated'])
    assert.equal(BigInt(sent.backingWei), parseEther('50'))
    assert.deepEqual((await init(wish)).json<{ sent: string[] }>().sent, [], 'a second run sends nothing')

    agent = startZerog(['agent', 'da'], { cwd, env: given })
    await until(
      'it has columns',
      async () => {
        const member = (await committee())?.members.find(({ operator }) => operator === meta.operator)
        return (member?.columns.length ?? 0) > 0
      },
      4 * MINUTE_MS,
    )
    const doctor = await runZerog(['doctor', '--json'], { cwd, env: given })
    assert.equal(doctor.code, 0, doctor.stdout)
  })
})
