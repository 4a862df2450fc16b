import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { Redis } from 'ioredis'
import { ZerogError } from '../../sdk/protocol/errors.ts'
import { backoffMs, pause } from './backoff.ts'
import type { Log } from './log.ts'

/** Longest path of a Unix socket on every system (104 on macOS, 108 on Linux, with the final zero). */
const MAX_SOCKET_PATH = 100
/** The server ends with us however we end: the watcher reads a pipe that closes when this process dies. */
const WATCHED_SERVER = '(cat <&3 >/dev/null 2>&1; kill -9 $$) & exec 3<&-; exec "$0" -'
/** What a shell exits with when there is no such program. */
const COMMAND_NOT_FOUND = 127
const START_TIMEOUT_MS = 10_000
const STOP_TIMEOUT_MS = 5000

/** Where a Redis listens and how to log in; understood by ioredis and BullMQ alike. */
export type RedisAddress = {
  readonly path?: string
  readonly host?: string
  readonly port?: number
  readonly username?: string
  readonly password?: string
  readonly db?: number
  readonly tls?: Record<string, never>
}

/** Where jobs are kept. What is in it may be lost at any time: jobs are derived from chain state again. */
export type RedisHandle = {
  /** How to connect; the same over restarts. */
  readonly connection: RedisAddress
  /** Whether Redis answers now. */
  ping(): Promise<boolean>
  /** Process id of the private server, while it runs. */
  pid(): number | undefined
  close(): Promise<void>
}

export declare namespace openRedis {
  type Options = {
    /** redis://, rediss:// or unix:// URL; a private server is started when not given. */
    url?: string | undefined
    dataDir: string
    signal: AbortSignal
    log: Log
    /** Program to start. */
    binary?: string
  }
}

/**
 * Connects to the Redis at `url`, or starts a private `redis-server` without persistence, on a Unix socket in the data
 * folder (or a free loopback port where the path is too long), and restarts it whenever it dies.
 *
 * Error: REDIS_MISSING when the program is not installed.
 */
export async function openRedis({
  url,
  dataDir,
  signal,
  log,
  binary = 'redis-server',
}: openRedis.Options): Promise<RedisHandle> {
  if (url !== undefined) return external(url, log)
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const socket = resolve(join(dataDir, 'redis.sock'))
  const onSocket = Buffer.byteLength(socket) <= MAX_SOCKET_PATH
  const address: RedisAddress = onSocket
    ? { path: socket }
    : { host: '127.0.0.1', port: await freePort(), password: newPassword() }
  // A killed agent leaves its server behind; two must never share the socket.
  if (onSocket) await shutDownLeftover(address)

  const supervisor = superviseRedis({ binary, address, dataDir, log, signal })
  const probe = client(address)
  try {
    await supervisor.started(() => answers(probe))
  } catch (error) {
    probe.disconnect()
    await supervisor.stop()
    throw error
  }
  return {
    connection: address,
    ping: () => answers(probe),
    pid: supervisor.pid,
    close: async () => {
      probe.disconnect()
      await supervisor.stop()
    },
  }
}

async function external(url: string, log: Log): Promise<RedisHandle> {
  const connection = optionsOf(url)
  const probe = client(connection)
  if (!(await answers(probe))) log.warn('redis does not answer yet')
  return {
    connection,
    ping: () => answers(probe),
    pid: () => undefined,
    close: async () => probe.disconnect(),
  }
}

function optionsOf(text: string): RedisAddress {
  const url = new URL(text)
  const login = {
    ...(url.username === '' ? {} : { username: decodeURIComponent(url.username) }),
    ...(url.password === '' ? {} : { password: decodeURIComponent(url.password) }),
  }
  if (url.protocol === 'unix:') return { ...login, path: decodeURIComponent(url.pathname) }
  const db = url.pathname.length > 1 ? { db: Number(url.pathname.slice(1)) } : {}
  const tls = url.protocol === 'rediss:' ? { tls: {} } : {}
  return { ...login, ...db, ...tls, host: url.hostname, port: Number(url.port === '' ? 6379 : url.port) }
}

function client(options: RedisAddress): Redis {
  const redis = new Redis({
    ...options,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 2000,
    connectTimeout: 2000,
    retryStrategy: (attempt) => backoffMs(attempt, 50, 1000),
  })
  // Being away is what ping reports; without a listener it would end the process.
  redis.on('error', () => undefined)
  return redis
}

async function answers(redis: Redis): Promise<boolean> {
  try {
    return (await redis.ping()) === 'PONG'
  } catch {
    return false
  }
}

async function shutDownLeftover(address: RedisAddress): Promise<void> {
  const redis = new Redis({
    ...address,
    lazyConnect: true,
    retryStrategy: () => null,
    connectTimeout: 2000,
    commandTimeout: 2000,
  })
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    await redis.shutdown('NOSAVE')
  } catch {
    // Nobody listens, or it closed the connection as it went: both are what is wanted.
  } finally {
    redis.disconnect()
  }
}

function superviseRedis(options: {
  binary: string
  address: RedisAddress
  dataDir: string
  log: Log
  signal: AbortSignal
}) {
  const { binary, address, dataDir, log, signal } = options
  let child: ChildProcess | undefined
  let stopping = false
  let failure: ZerogError | undefined
  let restarts = 0
  let restarting: NodeJS.Timeout | undefined

  const launch = (): void => {
    const process = spawn('/bin/sh', ['-c', WATCHED_SERVER, binary], {
      cwd: dataDir,
      stdio: ['pipe', 'ignore', 'ignore', 'pipe'],
    })
    child = process
    const startedAt = performance.now()
    const [, , , lifeline] = process.stdio
    lifeline?.on('error', () => undefined)
    process.on('error', (cause) => {
      child = undefined
      failure = new ZerogError('REDIS_MISSING', undefined, { cause })
    })
    process.on('exit', (code, killedBy) => {
      child = undefined
      lifeline?.destroy()
      if (stopping || signal.aborted) return
      if (code === COMMAND_NOT_FOUND) {
        failure = new ZerogError('REDIS_MISSING', `${binary} is not installed and REDIS_URL is not set`)
        return
      }
      if (performance.now() - startedAt > 10_000) restarts = 0
      const waitMs = backoffMs(++restarts, 50, 5000)
      log.warn({ code, killedBy, waitMs }, 'private redis died, restarting')
      restarting = setTimeout(launch, waitMs)
    })
    // The settings go in by stdin, where no other user of the machine can read the password.
    process.stdin?.on('error', () => undefined)
    process.stdin?.end(settingsOf(address))
  }

  const stop = async (): Promise<void> => {
    stopping = true
    clearTimeout(restarting)
    const process = child
    if (!process) return
    const exited = new Promise<void>((done) => process.once('exit', () => done()))
    process.kill('SIGTERM')
    const force = setTimeout(() => process.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await exited
    clearTimeout(force)
  }

  launch()
  return {
    pid: () => child?.pid,
    stop,
    started: async (ready: () => Promise<boolean>): Promise<void> => {
      const giveUpAt = performance.now() + START_TIMEOUT_MS
      while (!(await ready())) {
        if (failure) throw failure
        if (performance.now() > giveUpAt) throw new ZerogError('TIMEOUT', 'the private redis did not start')
        await pause(25, signal)
      }
    },
  }
}

function settingsOf(address: RedisAddress): string {
  const listen = address.path
    ? ['port 0', `unixsocket "${address.path}"`, 'unixsocketperm 700']
    : ['bind 127.0.0.1', `port ${address.port}`, `requirepass ${address.password}`]
  // Evicting keys would lose jobs silently; a full server refuses them instead.
  return [...listen, 'save ""', 'appendonly no', 'daemonize no', 'maxmemory-policy noeviction', ''].join('\n')
}

function newPassword(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(24))).toString('base64url')
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((done, failed) => server.once('error', failed).listen(0, '127.0.0.1', done))
  const address = server.address()
  await new Promise((done) => server.close(done))
  if (address === null || typeof address === 'string') throw new ZerogError('INTERNAL', 'no free port')
  return address.port
}
