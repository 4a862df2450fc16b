import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type Anvil, DEV_KEYS, startAnvil } from '../../support/anvil.ts'
import { startProcess } from '../../support/processes.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'

const CHILD = fileURLToPath(new URL('./run-child.js', import.meta.url))

describe('runAgent', () => {
  let anvil: Anvil
  before(async () => {
    anvil = await startAnvil()
  })
  after(() => anvil.stop())

  const start = (env: Record<string, string> = {}) => {
    const dir = tempDir()
    const base = {
      RPC_URL: anvil.rpcUrl,
      DATA_DIR: `${dir}/data`,
      PRIVATE_KEY: DEV_KEYS[0],
      FILE: `${dir}/file`,
    }
    const child = startProcess(process.execPath, [CHILD], { env: { ...base, ...env }, cwd: dir })
    return { ...child, dir }
  }

  it('default: on SIGTERM it ends its running job and then itself with 0', async () => {
    const child = start()
    await until('the job runs', () => child.output().includes('job begins'))
    child.kill('SIGTERM')
    writeFileSync(`${child.dir}/file`, '')
    assert.deepEqual(await child.exited, { code: 0, signal: null }, child.output())
    assert.match(child.output(), /job ends/)
  })

  it('behavior: a second signal ends it at once', async () => {
    const child = start()
    await until('the job runs', () => child.output().includes('job begins'))
    child.kill('SIGINT')
    await until('signals are taken one by one', () => {
      child.kill('SIGINT')
      return Promise.race([child.exited, Promise.resolve(undefined)])
    })
    assert.equal((await child.exited).code, 130)
    assert.doesNotMatch(child.output(), /job ends/)
  })

  it('behavior: its private redis ends with it, also when it is killed', async () => {
    const child = start()
    await until('the job runs', () => child.output().includes('job begins'))
    const socket = `${child.dir}/data/waiter.redis/redis.sock`
    assert.equal(await accepts(socket), true)
    child.kill('SIGKILL')
    await child.exited
    await until('nobody listens', async () => !(await accepts(socket)))
  })

  it('error: a bad configuration is said plainly and ends it with 78', async () => {
    const child = start({ RPC_URL: 'nowhere', HTTP_PORT: 'x' })
    assert.equal((await child.exited).code, 78)
    assert.match(child.output(), /CONFIG_INVALID/)
    assert.match(child.output(), /RPC_URL: must be an http/)
    assert.match(child.output(), /HTTP_PORT: must be/)
    assert.doesNotMatch(child.output(), /at .*\.js/, 'no stack')
  })

  it('error: a wrong chain ends it with 78', async () => {
    const child = start({ CHAIN_ID: '5' })
    assert.equal((await child.exited).code, 78)
    assert.match(child.output(), /WRONG_CHAIN/)
  })
})

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
