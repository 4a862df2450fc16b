import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { pathToFileURL } from 'node:url'
import { ROOT } from '../support/repository.ts'

const folder = mkdtempSync(join(tmpdir(), 'zerog-setup-'))
after(() => rmSync(folder, { recursive: true }))

const scriptUrl = (name: string) => pathToFileURL(join(ROOT, 'scripts', name)).href

/** Runs module code in a Node of its own; `env` replaces the environment. */
function start(code: string, env: NodeJS.ProcessEnv = process.env) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  child.stdout.on('data', (chunk) => {
    stdout += chunk
  })
  const ended = once(child, 'close').then(([status]) => ({ status: status as number | null, stdout }))
  return { child, ended }
}

describe('withLock', () => {
  const work = (name: string) => `
    import { appendFileSync } from 'node:fs'
    import { withLock } from '${scriptUrl('setup/lock.mjs')}'
    await withLock(async () => {
      appendFileSync(${JSON.stringify(join(folder, 'order'))}, '${name}+')
      await new Promise((resolve) => setTimeout(resolve, 300))
      appendFileSync(${JSON.stringify(join(folder, 'order'))}, '${name}-')
    })`

  it('behavior: two at once take turns', async () => {
    writeFileSync(join(folder, 'order'), '')
    await Promise.all([start(work('a')).ended, start(work('b')).ended])
    assert.match(readFileSync(join(folder, 'order'), 'utf8'), /^(a\+a-b\+b-|b\+b-a\+a-)$/)
  })

  it('behavior: the lock of a killed process does not hold up the next one', async () => {
    const marker = join(folder, 'held')
    const holder = start(`
      import { writeFileSync } from 'node:fs'
      import { withLock } from '${scriptUrl('setup/lock.mjs')}'
      await withLock(async () => {
        writeFileSync(${JSON.stringify(marker)}, '')
        setInterval(() => undefined, 1_000)
        await new Promise(() => undefined)
      })`)
    const untilMs = Date.now() + 20_000
    while (!existsSync(marker) && Date.now() < untilMs) await new Promise((resolve) => setImmediate(resolve))
    holder.child.kill('SIGKILL')
    await holder.ended
    writeFileSync(join(folder, 'order'), '')
    const next = await start(work('c')).ended
    assert.equal(next.status, 0)
    assert.equal(readFileSync(join(folder, 'order'), 'utf8'), 'c+c-')
  })
})

describe('ensureRedis', () => {
  const code = `
    import { ensureRedis } from '${scriptUrl('setup/redis.mjs')}'
    try {
      await ensureRedis()
      console.log('fine')
    } catch (error) {
      console.log(error.code, error.exitCode, error.message)
    }`

  it('error: no redis-server and nothing to install it with', async () => {
    const { stdout } = await start(code, { PATH: folder }).ended
    assert.match(stdout, /^REDIS_MISSING 78 redis-server is needed .* set REDIS_URL$/m)
  })

  it('behavior: REDIS_URL is enough', async () => {
    const { stdout } = await start(code, { PATH: folder, REDIS_URL: 'redis://127.0.0.1:6379' }).ended
    assert.equal(stdout, 'fine\n')
  })
})

describe('ensureChromium', () => {
  const code = `
    import { ensureChromium, findChromium } from '${scriptUrl('setup/chromium.mjs')}'
    try {
      await ensureChromium()
      console.log(findChromium())
    } catch (error) {
      console.log(error.code, error.exitCode, error.message)
    }`

  it('error: no Chromium and nothing to install it with', {
    skip: process.platform === 'darwin',
  }, async () => {
    const { stdout } = await start(code, { PATH: folder }).ended
    assert.match(stdout, /^CHROMIUM_MISSING 78 the browser test needs Chromium .* set CHROMIUM_PATH$/m)
  })

  it('behavior: finds it on PATH, and takes CHROMIUM_PATH first', async () => {
    const bin = join(folder, 'bin')
    mkdirSync(bin)
    writeFileSync(join(bin, 'chromium'), '', { mode: 0o755 })
    const found = await start(code, { PATH: bin }).ended
    assert.equal(found.stdout, `${join(bin, 'chromium')}\n`)
    const named = await start(code, { PATH: bin, CHROMIUM_PATH: '/opt/browser' }).ended
    assert.equal(named.stdout, '/opt/browser\n')
  })
})

describe('hashFiles', () => {
  it('behavior: changes with a byte, a name, and not otherwise', async () => {
    const { hashFiles } = (await import(scriptUrl('setup/stamps.mjs'))) as {
      hashFiles: (f: string[]) => string
    }
    assert.equal(hashFiles(['package.json']), hashFiles(['package.json', 'there-is-no-such-file']))
    assert.notEqual(hashFiles(['package.json']), hashFiles(['tsconfig.json']))
    assert.notEqual(hashFiles(['package.json']), hashFiles(['package.json', 'tsconfig.json']))
  })
})

describe('run.mjs', () => {
  it('error: an unknown task', async () => {
    const child = spawn(process.execPath, [join(ROOT, 'scripts/run.mjs'), 'dance'], { stdio: 'pipe' })
    let stderr = ''
    child.stderr.on('data', (chunk) => {
      stderr += chunk
    })
    const [status] = await once(child, 'close')
    assert.equal(status, 64)
    assert.match(stderr, /^UNKNOWN_TASK: unknown task dance: one of build, start/)
  })
})
