import assert from 'node:assert/strict'
import { existsSync, mkdirSync } from 'node:fs'
import { afterEach, describe, it } from 'node:test'
import { Redis } from 'ioredis'
import { openRedis, type RedisHandle } from '../../../agents/kernel/redis.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { startProcess } from '../../support/processes.ts'
import { startRedis } from '../../support/redis.ts'
import { tempDir } from '../../support/temp-dir.ts'
import { until } from '../../support/until.ts'
import { silent } from './kernel-fixture.ts'

describe('openRedis', () => {
  const opened = new Set<RedisHandle>()
  afterEach(async () => {
    for (const handle of opened) await handle.close()
    opened.clear()
  })

  const open = async (options: Partial<openRedis.Options> = {}) => {
    const signal = AbortSignal.timeout(60_000)
    const handle = await openRedis({ dataDir: tempDir(), signal, log: silent, ...options })
    opened.add(handle)
    return handle
  }

  it('default: starts a private server on a socket in the data folder and ends it', async () => {
    const dataDir = tempDir()
    const handle = await open({ dataDir })
    assert.equal(handle.connection.path, `${dataDir}/redis.sock`)
    assert.equal(await handle.ping(), true)
    const pid = handle.pid()
    await handle.close()
    assert.equal(existsSync(`${dataDir}/redis.sock`), false)
    assert.equal(alive(pid), false)
    assert.equal(existsSync(`${dataDir}/dump.rdb`), false)
  })

  it('behavior: takes a loopback port with a password where the path is too long for a socket', async () => {
    const dataDir = `${tempDir()}/${'long/'.repeat(24)}`
    mkdirSync(dataDir, { recursive: true })
    const { connection } = await open({ dataDir })
    assert.equal(connection.host, '127.0.0.1')
    const stranger = new Redis({
      host: '127.0.0.1',
      port: Number(connection.port),
      retryStrategy: () => null,
    })
    stranger.on('error', () => undefined)
    await assert.rejects(stranger.get('key'), /NOAUTH/)
    stranger.disconnect()
  })

  it('behavior: restarts the server when it dies', async () => {
    const handle = await open()
    const pid = handle.pid()
    process.kill(pid ?? 0, 'SIGKILL')
    await until('another one answers', async () => handle.pid() !== pid && (await handle.ping()))
  })

  it('behavior: replaces the server that a killed agent left behind', async () => {
    const dataDir = tempDir()
    const settings = ['--port', '0', '--unixsocket', `${dataDir}/redis.sock`, '--save', '']
    const leftover = startProcess('redis-server', settings)
    await until('it listens', () => existsSync(`${dataDir}/redis.sock`))
    const handle = await open({ dataDir })
    await leftover.exited
    assert.equal(await handle.ping(), true)
    assert.notEqual(handle.pid(), leftover.pid)
  })

  it('behavior: uses the server of REDIS_URL and leaves it alone', async () => {
    const server = await startRedis()
    const handle = await open({ url: `redis://user:p%40ss@127.0.0.1:${server.port}/3` })
    assert.deepEqual(handle.connection, {
      ...{ username: 'user', password: 'p@ss', db: 3 },
      ...{ host: '127.0.0.1', port: server.port },
    })
    const plain = await open({ url: server.url })
    await until('it answers', () => plain.ping())
    await plain.close()
    assert.equal(alive(server.pid), true)
    await server.stop()
  })

  it('error: says that the program is missing', async () => {
    const missing = open({ binary: 'no-such-redis-server' })
    await assert.rejects(missing, (error) => error instanceof ZerogError && error.code === 'REDIS_MISSING')
  })
})

function alive(pid: number | undefined): boolean {
  try {
    return pid !== undefined && process.kill(pid, 0)
  } catch {
    return false
  }
}
