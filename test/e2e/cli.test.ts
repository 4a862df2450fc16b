import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { parseEther, Wallet } from 'ethers'
import { devAccount } from '../../deploy/dev-account.ts'
import { decodeStorageEvent, eventFilter } from '../../sdk/chain/events.ts'
import { registerCall } from '../../sdk/chain/operators.ts'
import { sendCall, signerSender } from '../../sdk/chain/send.ts'
import { quoteUpload } from '../../sdk/client/price.ts'
import { DEFAULT_PARITY } from '../../sdk/protocol/deal-price.ts'
import { type AnvilNetwork, startAnvilNetwork } from '../support/anvil-network.ts'
import { at, type Content, contentOf } from '../support/content.ts'
import { freePort } from '../support/processes.ts'
import { startRpcProxy } from '../support/rpc-proxy.ts'
import { tempDir } from '../support/temp-dir.ts'
import { until } from '../support/until.ts'
import { readVectors } from '../support/vectors.ts'
import { type CliRun, runZerog, startZerog } from '../support/zerog-cli.ts'

const MINUTE_MS = 60_000
const UNKNOWN_ROOT = `0x${'ab'.repeat(32)}`
const UNKNOWN_OWNER = `0x${'ab'.repeat(20)}`

let network: AnvilNetwork
let folder: string
let env: Record<string, string>

before(
  async () => {
    folder = tempDir()
    network = await startAnvilNetwork({ agentCount: 6 })
    env = {
      RPC_URL: network.node.url,
      ADDRESS_BOOK: network.addressBook,
      PRIVATE_KEY: network.user.privateKey,
    }
  },
  { timeout: 3 * MINUTE_MS },
)
after(() => network?.stop(), { timeout: MINUTE_MS })

/** Runs `zerog … --json` as the funded user in the test's folder. */
function zerog(args: readonly string[], change: Record<string, string> = {}): Promise<CliRun> {
  return runZerog([...args, '--json'], { cwd: folder, env: { ...env, ...change } })
}

async function zerogOk<T>(args: readonly string[], change: Record<string, string> = {}): Promise<T> {
  const run = await zerog(args, change)
  assert.equal(run.code, 0, run.stderr)
  assert.equal(run.stderr, '')
  return run.json<T>()
}

function makeFile(name: string, bytes: Uint8Array): string {
  writeFileSync(join(folder, name), bytes)
  return name
}

function read(name: string): Buffer {
  return readFileSync(join(folder, name))
}

/** Transactions that the user has sent so far. */
function userNonce(): Promise<number> {
  return network.provider.getTransactionCount(network.user.address, 'pending')
}

async function submissionsOf(owner: string): Promise<bigint[]> {
  const filter = eventFilter(network.chain.book, ['Submit'])
  const logs = await network.provider.getLogs({ ...filter, fromBlock: 0, toBlock: 'latest' })
  return logs.flatMap((log) => {
    const event = decodeStorageEvent(network.chain.book, log)
    return event?.name === 'Submit' && event.args.sender === owner ? [event.args.submissionIndex] : []
  })
}

type Uploaded = {
  root: string
  txSeq: string
  byteLength: number
  resumed: boolean
  custodians: { provider: string; shards: number[] }[]
}
type FileVector = { content: Content; root: string }

describe('zerog storage', () => {
  const bytes = randomBytes(300_001)
  let uploaded: Uploaded

  it('root: offline, equal to the committed vectors', async () => {
    const vectors = readVectors<FileVector[]>('files')
    for (const { content, root } of [at(vectors, 0), at(vectors, -1)]) {
      const file = makeFile('vector', contentOf(content))
      const run = await runZerog(['storage', 'root', file], { cwd: folder })
      assert.deepEqual([run.code, run.stdout], [0, `${root}\n`])
    }
  })

  it('price: what the SDK quotes, for a file and for a number of bytes', async () => {
    makeFile('photo', bytes)
    const quote = await quoteUpload(network.chain, { byteLength: bytes.length })
    for (const subject of ['photo', String(bytes.length)]) {
      const price = await zerogOk<Record<string, string>>(['storage', 'price', subject])
      assert.equal(price.feeWei, String(quote.feeWei))
      assert.equal(price.totalWei, String(quote.totalWei))
    }
  })

  it('upload, list, status and download: the same bytes', async () => {
    uploaded = await zerogOk<Uploaded>(['storage', 'upload', 'photo'])
    assert.equal(uploaded.byteLength, bytes.length)
    assert.equal(uploaded.resumed, false)

    const { files } = await zerogOk<{ files: Record<string, unknown>[] }>(['storage', 'list'])
    assert.deepEqual(
      files.map(({ root, state, txSeq }) => [root, state, txSeq]),
      [[uploaded.root, 'sealed', uploaded.txSeq]],
    )
    const status = await zerogOk<Record<string, unknown>>(['storage', 'status', uploaded.root])
    assert.deepEqual([status.state, status.degraded, status.isReadable], ['sealed', 0, true])

    await zerogOk(['storage', 'download', uploaded.root, 'copy'])
    assert.deepEqual(read('copy'), bytes)
    await zerogOk(['storage', 'download', uploaded.txSeq, 'by-number'])
    assert.deepEqual(read('by-number'), bytes)
  })

  it('download --range: exactly these bytes', async () => {
    await zerogOk(['storage', 'download', uploaded.root, 'middle', '--range', '1000-70999'])
    assert.deepEqual(read('middle'), bytes.subarray(1000, 71_000))
    await zerogOk(['storage', 'download', uploaded.root, 'tail', '--range', '300000-'])
    assert.deepEqual(read('tail'), bytes.subarray(300_000))
  })

  it('download: an existing file stays as it is, unless --force', async () => {
    makeFile('mine', Buffer.from('precious'))
    const refused = await zerog(['storage', 'download', uploaded.root, 'mine'])
    assert.deepEqual([refused.code, refused.errorCode(), refused.stdout], [73, 'FILE_EXISTS', ''])
    assert.equal(read('mine').toString(), 'precious')
    await zerogOk(['storage', 'download', uploaded.root, 'mine', '--force'])
    assert.deepEqual(read('mine'), bytes)
  })

  it('download: a full disk leaves nothing behind', async () => {
    const args = ['storage', 'download', uploaded.root, 'too-big', '--json']
    const run = await runZerog(args, { cwd: folder, env, fileLimitKiB: 64 })
    assert.deepEqual([run.code, run.errorCode()], [74, 'DISK_FULL'], run.stderr)
    assert.deepEqual(leftovers('too-big'), [])
  })

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    it(`download: ${signal} ends it with ABORTED and leaves nothing behind`, async () => {
      const proxy = await startRpcProxy(network.node.url)
      // The look-up of the file never ends, so that the signal always comes in the middle.
      proxy.tamper(({ method }, answer) => (method === 'eth_getLogs' ? new Promise(() => undefined) : answer))
      const args = ['storage', 'download', uploaded.root, 'aborted', '--json']
      const running = startZerog(args, { cwd: folder, env: { ...env, RPC_URL: proxy.rpcUrl } })
      try {
        await until('it looks for the file', () => proxy.calls.some(({ method }) => method === 'eth_getLogs'))
        running.kill(signal)
        const run = await running.done
        assert.deepEqual([run.code, run.errorCode()], [130, 'ABORTED'], run.stderr)
        assert.deepEqual(leftovers('aborted'), [])
      } finally {
        await proxy.stop()
      }
    })
  }

  it('without --json: words and no control characters where there is no terminal', async () => {
    const run = await runZerog(['storage', 'upload', makeFile('plain', randomBytes(5_000))], {
      cwd: folder,
      env,
    })
    assert.equal(run.code, 0, run.stderr)
    assert.match(run.stdout, /^root {5}0x[0-9a-f]{64}\ntxSeq/)
    assert.match(run.stderr, /^paying\ncollecting signatures\nsealing\n$/)
  })

  it('upload: a provider that is away; what is paid is used by the next attempt, here or by number elsewhere', {
    timeout: 3 * MINUTE_MS,
  }, async () => {
    // Of 24 shards nobody may hold more than 4: without one of the six it cannot be done.
    const victim = at(network.agents, 0)
    await victim.child.kill('SIGKILL')
    const before = await submissionsOf(network.user.address)
    const names = ['again', 'elsewhere'].map((name) => makeFile(name, randomBytes(100_000)))
    const failed = []
    for (const name of names) {
      const run = await zerog(['storage', 'upload', name])
      assert.deepEqual([run.code, run.errorCode()], [69, 'CUSTODIANS_MISSING'], run.stderr)
      const { error } = JSON.parse(run.stderr) as { error: { meta: { txSeq: string } } }
      failed.push(error.meta.txSeq)
    }
    await network.restartAgent(victim)

    const again = await zerogOk<Uploaded>(['storage', 'upload', at(names, 0)])
    assert.deepEqual([again.resumed, again.txSeq], [true, failed[0]])
    const other = join(folder, 'other-home')
    mkdirSync(other)
    const wrong = await zerog(['storage', 'resume', at(failed, 1), 'photo'], { HOME: other })
    assert.deepEqual([wrong.code, wrong.errorCode()], [65, 'ROOT_MISMATCH'])
    const resume = ['storage', 'resume', at(failed, 1), at(names, 1)]
    const resumed = await zerogOk<Uploaded>(resume, { HOME: other })
    assert.deepEqual([resumed.resumed, resumed.txSeq], [true, failed[1]])
    const now = await submissionsOf(network.user.address)
    assert.equal(now.length, before.length + 2, 'each file was paid for once')
  })

  it('download: more shards away than there is parity; nothing is left behind, and it works again later', {
    timeout: 3 * MINUTE_MS,
  }, async () => {
    const lost: number[] = []
    const victims = []
    const custodians = uploaded.custodians.toSorted((a, b) => b.shards.length - a.shards.length)
    for (const { provider, shards } of custodians) {
      if (lost.length > DEFAULT_PARITY) break
      lost.push(...shards)
      victims.push(
        at(
          network.agents.filter(({ address }) => address === provider),
          0,
        ),
      )
    }
    await Promise.all(victims.map(({ child }) => child.kill('SIGKILL')))
    const status = await zerogOk<Record<string, unknown>>(['storage', 'status', uploaded.root])
    assert.deepEqual([status.degraded, status.isReadable], [lost.length, false])
    const run = await zerog(['storage', 'download', uploaded.root, 'beyond'])
    assert.deepEqual([run.code, run.errorCode()], [69, 'SHARDS_MISSING'], run.stderr)
    assert.deepEqual(leftovers('beyond'), [])

    // With one of them away still, what it held is rebuilt.
    for (const victim of victims.slice(1)) await network.restartAgent(victim)
    await zerogOk(['storage', 'download', uploaded.root, 'beyond'])
    assert.deepEqual(read('beyond'), bytes)
    await network.restartAgent(at(victims, 0))
  })

  function leftovers(name: string): string[] {
    return readdirSync(folder).filter((entry) => entry.includes(name))
  }
})

describe('zerog with bad input', () => {
  type Case = {
    name: string
    args: string[]
    code: string
    exit: number
    env?: () => Record<string, string>
  }
  const upload = (file: string) => ['storage', 'upload', file]
  const status = ['status']
  const cases: Case[] = [
    { name: 'empty file', args: upload('empty'), code: 'EMPTY_FILE', exit: 65 },
    { name: 'file that is not there', args: upload('nowhere'), code: 'FILE_MISSING', exit: 66 },
    { name: 'folder for a file', args: upload('.'), code: 'FILE_MISSING', exit: 66 },
    { name: 'empty file, offline', args: ['storage', 'root', 'empty'], code: 'EMPTY_FILE', exit: 65 },
    { name: 'too little parity', args: [...upload('ok'), '--parity', '3'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'too short a term', args: [...upload('ok'), '--term', '1'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'term that is no number', args: [...upload('ok'), '--term', 'x'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'no bytes', args: ['storage', 'price', '0'], code: 'EMPTY_FILE', exit: 65 },
    { name: 'too many bytes', args: ['storage', 'price', '9'.repeat(20)], code: 'FILE_TOO_LARGE', exit: 65 },
    { name: 'root with too few digits', args: ['storage', 'status', '0xabc'], code: 'BAD_HEX', exit: 64 },
    {
      name: 'root with a wrong digit',
      args: ['storage', 'download', `0x${'g'.repeat(64)}`, 'new'],
      code: 'BAD_HEX',
      exit: 64,
    },
    {
      name: 'unknown root',
      args: ['storage', 'download', UNKNOWN_ROOT, 'new'],
      code: 'UNKNOWN_ROOT',
      exit: 66,
    },
    {
      name: 'unknown number',
      args: ['storage', 'status', '999999'],
      code: 'UNKNOWN_DEAL',
      exit: 66,
    },
    {
      name: 'range beyond the end',
      args: ['storage', 'download', '0', 'new', '--range', '300000-300001'],
      code: 'RANGE_INVALID',
      exit: 65,
    },
    {
      name: 'range backwards',
      args: ['storage', 'download', '0', 'new', '--range', '9-1'],
      code: 'RANGE_INVALID',
      exit: 65,
    },
    {
      name: 'folder that is not there',
      args: ['storage', 'download', '0', 'no/new'],
      code: 'FILE_MISSING',
      exit: 66,
    },
    {
      name: 'address of 39 digits',
      args: ['stake', 'status', `0x${'1'.repeat(39)}`],
      code: 'BAD_HEX',
      exit: 64,
    },
    { name: 'amount that is no number', args: ['stake', 'deposit', 'much'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'stake of a stranger', args: ['stake', 'deposit', '1'], code: 'TX_REVERTED', exit: 65 },
    { name: 'nothing to exit', args: ['stake', 'exit'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'nobody to reinstate', args: ['storage', 'reinstate'], code: 'TX_REVERTED', exit: 65 },
    { name: 'no command', args: [], code: 'BAD_REQUEST', exit: 64 },
    { name: 'unknown command', args: ['storage', 'destroy'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'unknown option', args: ['status', '--fast'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'missing argument', args: ['storage', 'upload'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'rpc that is no URL', args: ['status', '--rpc', 'nonsense'], code: 'BAD_REQUEST', exit: 64 },
    { name: 'wrong chain id', args: status, env: () => ({ CHAIN_ID: '1' }), code: 'WRONG_CHAIN', exit: 78 },
    {
      name: 'address book of another chain',
      args: status,
      env: () => ({ ADDRESS_BOOK: makeBook({ chainId: 5 }) }),
      code: 'WRONG_CHAIN',
      exit: 78,
    },
    {
      name: 'address book without contracts',
      args: status,
      env: () => ({ ADDRESS_BOOK: makeBook({ contracts: {} }) }),
      code: 'ADDRESS_BOOK_INVALID',
      exit: 78,
    },
    {
      name: 'malformed JSON for an address book',
      args: status,
      env: () => ({ ADDRESS_BOOK: 'ok' }),
      code: 'ADDRESS_BOOK_INVALID',
      exit: 78,
    },
    {
      name: 'malformed variable',
      args: status,
      env: () => ({ CHAIN_ID: 'x' }),
      code: 'CONFIG_INVALID',
      exit: 78,
    },
    {
      name: 'malformed key',
      args: status,
      env: () => ({ PRIVATE_KEY: '0x12' }),
      code: 'CONFIG_INVALID',
      exit: 78,
    },
    {
      name: 'no key',
      args: upload('ok'),
      env: () => ({ PRIVATE_KEY: '' }),
      code: 'CONFIG_INVALID',
      exit: 78,
    },
    {
      name: 'keystore that is not there',
      args: status,
      env: () => ({ PRIVATE_KEY: '', KEYSTORE_FILE: 'nowhere', KEYSTORE_PASSWORD: 'x' }),
      code: 'KEYSTORE_INVALID',
      exit: 78,
    },
    {
      name: 'unfunded key',
      args: upload('ok'),
      env: () => ({ PRIVATE_KEY: Wallet.createRandom().privateKey }),
      code: 'INSUFFICIENT_FUNDS',
      exit: 77,
    },
    {
      name: 'node that does not answer',
      args: status,
      env: () => ({ RPC_URL: `http://127.0.0.1:${deadPort}` }),
      code: 'RPC_UNREACHABLE',
      exit: 69,
    },
  ]

  let deadPort = 0
  let nonce: number
  let entries: string[]
  before(async () => {
    deadPort = await freePort()
    makeFile('empty', new Uint8Array())
    makeFile('ok', randomBytes(1_000))
    makeBook({})
    nonce = await userNonce()
    entries = readdirSync(folder).sort()
  })

  function makeBook(change: Record<string, unknown>): string {
    const book = JSON.parse(readFileSync(network.addressBook, 'utf8')) as Record<string, unknown>
    return makeFile('book.json', Buffer.from(JSON.stringify({ ...book, ...change })))
  }

  for (const { name, args, code, exit, env: change } of cases) {
    it(`error: ${name} is ${code}, exit code ${exit}`, async () => {
      const run = await zerog(args, change?.() ?? {})
      assert.deepEqual([run.errorCode(), run.code], [code, exit], run.stderr)
      assert.equal(run.stdout, '')
    })
  }

  it('leaves no file behind, and has sent nothing', async () => {
    assert.deepEqual(readdirSync(folder).sort(), entries)
    assert.equal(await userNonce(), nonce)
  })

  it('error: in words, with what to do', async () => {
    const run = await runZerog(['storage', 'root', 'empty'], { cwd: folder })
    assert.deepEqual(
      [run.code, run.stdout, run.stderr],
      [65, '', 'error EMPTY_FILE: The file has no bytes\n  Give a file of at least one byte\n'],
    )
    const usage = await runZerog(['storage', 'destroy'], { cwd: folder })
    assert.match(usage.stderr, /^error BAD_REQUEST: unknown command 'destroy'\n.*zerog storage --help/)
  })

  it('--help: every command says what it does, and exits 0', async () => {
    for (const args of [[], ['storage', 'upload'], ['agent', 'init', 'storage'], ['stake'], ['doctor']]) {
      const run = await runZerog([...args, '--help'], { cwd: folder })
      assert.deepEqual([run.code, run.stderr], [0, ''])
      assert.match(run.stdout, /^Usage: zerog/)
    }
  })
})

describe('zerog status and doctor', () => {
  it('status: every provider with its stake', async () => {
    const { providers } = await zerogOk<{ providers: { operator: string; suspended: boolean }[] }>(['status'])
    assert.deepEqual(
      providers.map(({ operator }) => operator).sort(),
      network.agents.map(({ address }) => address).sort(),
    )
    assert.ok(providers.every(({ suspended }) => !suspended))
  })

  it('doctor --operator: a provider as clients see it', async () => {
    const { address } = at(network.agents, 1)
    const { healthy, findings } = await zerogOk<{ healthy: boolean; findings: { state: string }[] }>([
      ...['doctor', '--operator', address],
    ])
    assert.equal(healthy, true)
    assert.ok(findings.length >= 8, `${findings.length} findings`)
  })
})

describe('zerog model', () => {
  type Published = {
    manifestRoot: string
    version?: string
    transaction?: string
    feeWei: string
    files: { path: string; root: string; isNew: boolean }[]
  }
  const id = 'test/tiny'
  const contents = { 'config.json': randomBytes(3_000), 'onnx/model.onnx': randomBytes(70_000) }
  // Eight shards may lie with one provider: four of the six are enough.
  const publish = ['model', 'publish', 'tiny', '--id', id, '--licence', 'MIT', '--parity', '16']

  before(() => {
    mkdirSync(join(folder, 'tiny/onnx'), { recursive: true })
    for (const [name, content] of Object.entries(contents)) makeFile(`tiny/${name}`, content)
    makeFile('tiny/.cache', Buffer.from('not a part of it'))
  })

  it('publish: killed in the middle and repeated, every file is paid once', {
    timeout: 3 * MINUTE_MS,
  }, async () => {
    const earlier = await submissionsOf(network.user.address)
    const doomed = startZerog(publish, { cwd: folder, env })
    await until('the first file is stored', () => doomed.stderr().includes('stored as'), 2 * MINUTE_MS)
    doomed.kill('SIGKILL')
    await doomed.done
    const published = await zerogOk<Published>(publish)
    assert.deepEqual(
      published.files.map(({ path, isNew }) => [path, isNew]),
      [
        ['config.json', false],
        ['onnx/model.onnx', true],
      ],
    )
    assert.equal(published.version, '1')
    // Two files and the manifest.
    assert.equal((await submissionsOf(network.user.address)).length, earlier.length + 3)

    const nonce = await userNonce()
    const again = await zerogOk<Published>(publish)
    assert.deepEqual([again.version, again.transaction, again.feeWei], ['1', undefined, '0'])
    assert.equal(await userNonce(), nonce)
  })

  it('list: what is registered, by owner and kind', async () => {
    const mine = ['model', 'list', '--mine']
    type Listed = { models: { modelId: string; owner: string; terms: Record<string, unknown> }[] }
    const { models } = await zerogOk<Listed>(mine)
    assert.deepEqual(
      models.map(({ modelId, owner, terms }) => [modelId, owner, terms.kind, terms.licence]),
      [[id, network.user.address, 'tensors', 'MIT']],
    )
    assert.deepEqual((await zerogOk<Listed>([...mine, '--kind', 'embedding'])).models, [])
    const words = await runZerog(['model', 'list'], { cwd: folder, env })
    assert.match(words.stdout, new RegExp(`${id} +tensors +MIT +1 +0/0 +- +0x[0-9a-f]{64}`))
  })

  it('pull: the folder as it was published, by id and by root; other files stay, unless --force', async () => {
    const first = await zerogOk<{ manifestRoot: string; folder: string }>(['model', 'pull', id, 'pulled'])
    const filesOf = (name: string) => readdirSync(join(folder, name), { recursive: true }).sort()
    assert.deepEqual(filesOf('pulled'), ['config.json', 'onnx', 'onnx/model.onnx'])
    for (const [name, content] of Object.entries(contents)) assert.deepEqual(read(`pulled/${name}`), content)

    makeFile('pulled/config.json', Buffer.from('mine'))
    const byRoot = ['model', 'pull', first.manifestRoot, 'pulled']
    const refused = await zerog(byRoot)
    assert.deepEqual([refused.code, refused.errorCode()], [73, 'FILE_EXISTS'])
    assert.equal(read('pulled/config.json').toString(), 'mine')
    const forced = await zerogOk<{ files: { path: string; isFetched: boolean }[] }>([...byRoot, '--force'])
    assert.deepEqual(
      forced.files.map(({ path, isFetched }) => [path, isFetched]),
      [
        ['config.json', true],
        ['onnx/model.onnx', false],
      ],
    )
    assert.deepEqual(read('pulled/config.json'), contents['config.json'])
  })

  it('publish: another content is the next version; the earlier one can still be pulled', {
    timeout: 2 * MINUTE_MS,
  }, async () => {
    makeFile('tiny/config.json', Buffer.from('{"version": 2}'))
    const next = await zerogOk<Published>([...publish, '--input-floor', '5wei'])
    assert.deepEqual(
      next.files.map(({ isNew }) => isNew),
      [true, false],
    )
    assert.equal(next.version, '2')
    const { models } = await zerogOk<{ models: { terms: { inputFloorWei: string } }[] }>(['model', 'list'])
    assert.equal(models[0]?.terms.inputFloorWei, '5')
    await zerogOk(['model', 'pull', id])
    assert.equal(read('tiny/config.json').toString(), '{"version": 2}')
    await zerogOk(['model', 'pull', `${id}@1`, 'earlier'])
    assert.deepEqual(read('earlier/config.json'), contents['config.json'])
  })

  it('error: what cannot be published costs nothing', async () => {
    const [nonce, stranger] = [await userNonce(), devAccount(30).privateKey]
    mkdirSync(join(folder, 'odd'))
    makeFile('odd/ä b.bin', randomBytes(10))
    const cases: [string[], string, Record<string, string>?][] = [
      [publish, 'FORBIDDEN', { PRIVATE_KEY: stranger }],
      [['model', 'publish', 'odd'], 'COMPUTE_MODEL_INVALID'],
      [['model', 'publish', 'nowhere'], 'COMPUTE_MODEL_INVALID'],
      [['model', 'publish', 'tiny', '--id', 'test/other'], 'BAD_REQUEST'],
      [['model', 'publish', 'tiny', '--id', 'a b', '--licence', 'MIT'], 'TX_REVERTED'],
      [[...publish, '--gate', `erc721:${UNKNOWN_OWNER}`], 'TX_REVERTED'],
      [[...publish, '--free', '10/10'], 'BAD_REQUEST'],
      [['model', 'pull', 'nobody/has'], 'NOT_FOUND'],
      [['model', 'pull', `${id}@3`], 'NOT_FOUND'],
      [['model', 'pull', UNKNOWN_ROOT, 'new'], 'UNKNOWN_ROOT'],
      [['model', 'pull', at(Object.values(await rootsOf()), 0), 'new'], 'COMPUTE_MODEL_INVALID'],
    ]
    for (const [args, code, change] of cases) {
      const run = await zerog(args, change ?? {})
      assert.equal(run.errorCode(), code, `${args.join(' ')}: ${run.stderr}`)
    }
    assert.equal(await userNonce(), nonce)
  })

  /** Roots of files that are no manifests. */
  async function rootsOf(): Promise<string[]> {
    const { files } = await zerogOk<{ files: { root: string; byteLength: number }[] }>(['storage', 'list'])
    return files.flatMap(({ root, byteLength }) => (byteLength === 70_000 ? [root] : []))
  }
})

// Last: the blocks that are skipped here cost the agents draws.
describe('zerog stake', () => {
  type Stake = {
    self: { tokensWei: string; freeWei: string }
    allocation: { backingWei: string; pendingWei: string; completableAtBlock: string }
    exits: { exitId: string; releasableAtBlock: string }[]
    withdrawableWei: string
  }
  const coins = (amount: string) => String(parseEther(amount))
  let key: Record<string, string>
  const stakeStatus = () => zerogOk<Stake>(['stake', 'status'], key)

  before(async () => {
    const operator = devAccount(7, network.provider)
    key = { PRIVATE_KEY: operator.privateKey }
    await sendCall(await signerSender(network.chain, operator), {
      ...registerCall(network.chain, ''),
      label: 'register',
    })
  })

  async function mineTo(block: string): Promise<void> {
    const head = await network.provider.getBlockNumber()
    await network.anvil().mine(Math.max(1, Number(block) - head))
  }

  it('deposit --allocate, deposit and allocate', async () => {
    await zerogOk(['stake', 'deposit', '5', '--allocate'], key)
    await zerogOk(['stake', 'deposit', '2.5'], key)
    await zerogOk(['stake', 'allocate', '1000wei'], key)
    const { self, allocation } = await stakeStatus()
    assert.equal(self.tokensWei, coins('7.5'))
    assert.equal(allocation.backingWei, String(parseEther('5') + 1000n))
    assert.equal(self.freeWei, String(parseEther('2.5') - 1000n))
  })

  it('error: allocating more than is free sends nothing', async () => {
    const run = await zerog(['stake', 'allocate', '1000000'], key)
    assert.deepEqual([run.code, run.errorCode()], [65, 'TX_REVERTED'])
    assert.match(run.stderr, /insufficient free/)
  })

  it('deallocate, complete, exit, release, withdraw: the coins come back', async () => {
    await zerogOk(['stake', 'deallocate', '2'], key)
    const early = await zerog(['stake', 'complete'], key)
    assert.deepEqual([early.code, early.errorCode()], [65, 'TX_REVERTED'])
    assert.match(early.stderr, /too early/)
    const asked = await stakeStatus()
    assert.equal(asked.allocation.pendingWei, coins('2'))

    await mineTo(asked.allocation.completableAtBlock)
    await zerogOk(['stake', 'complete'], key)
    await zerogOk(['stake', 'exit', '--amount', '4'], key)
    const [exit] = (await stakeStatus()).exits
    assert.ok(exit)
    await mineTo(exit.releasableAtBlock)
    await zerogOk(['stake', 'release', exit.exitId], key)
    const released = await stakeStatus()
    assert.deepEqual(released.exits, [])
    const paidWei = BigInt(released.withdrawableWei)
    const roundedOffWei = parseEther('4') - paidWei
    assert.ok(roundedOffWei >= 0n && roundedOffWei < 1_000n, `${paidWei} wei`)

    const to = Wallet.createRandom().address
    await zerogOk(['stake', 'withdraw', '--to', to], key)
    assert.equal(await network.provider.getBalance(to), paidWei)
  })
})
