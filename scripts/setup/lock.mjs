import {
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { SetupError, STATE_DIR } from './step.mjs'

const LOCK_FILE = join(STATE_DIR, 'setup.lock')
const HEARTBEAT_MS = 2_000
const STALE_MS = 60_000
const WAIT_MS = 15 * 60_000

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === 'EPERM'
  }
}

function tryTake(token) {
  const mine = `${LOCK_FILE}.${process.pid}`
  writeFileSync(mine, token)
  try {
    linkSync(mine, LOCK_FILE) // atomic: fails when the lock exists
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    return false
  } finally {
    unlinkSync(mine)
  }
}

/** Removes the lock of a process that died or stopped beating; a lock taken meanwhile is put back untouched. */
function breakStale() {
  try {
    const held = readFileSync(LOCK_FILE, 'utf8')
    const pid = Number(held.split(' ')[0])
    const silentMs = Date.now() - statSync(LOCK_FILE).mtimeMs
    if (isAlive(pid) && silentMs < STALE_MS) return
    const aside = `${LOCK_FILE}.stale.${process.pid}`
    renameSync(LOCK_FILE, aside)
    if (readFileSync(aside, 'utf8') !== held) linkSync(aside, LOCK_FILE)
    unlinkSync(aside)
  } catch (error) {
    if (error.code !== 'ENOENT' && error.code !== 'EEXIST') throw error
  }
}

/** Runs `work` while holding the checkout's set-up lock, so that two commands never install or build at once. */
export async function withLock(work) {
  mkdirSync(STATE_DIR, { recursive: true })
  const token = `${process.pid} ${Date.now()} ${Math.random()}`
  const untilMs = Date.now() + WAIT_MS
  let announced = false
  while (!tryTake(token)) {
    breakStale()
    if (Date.now() > untilMs) {
      throw new SetupError(
        'SETUP_LOCKED',
        `another command has held ${LOCK_FILE} for 15 minutes; end it and retry`,
        75,
      )
    }
    if (!announced) process.stderr.write('• waiting for another set-up in this checkout\n')
    announced = true
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  const heartbeat = setInterval(() => utimesSync(LOCK_FILE, new Date(), new Date()), HEARTBEAT_MS)
  heartbeat.unref()
  try {
    return await work()
  } finally {
    clearInterval(heartbeat)
    if (readFileSync(LOCK_FILE, 'utf8') === token) unlinkSync(LOCK_FILE)
  }
}
