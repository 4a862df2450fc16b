import assert from 'node:assert/strict'
import { after, describe, it } from 'node:test'
import { DEVNET_POINTER, findDevnet } from '../../agents/cli/devnet-pointer.ts'
import { tempDir } from '../support/temp-dir.ts'
import { until } from '../support/until.ts'
import { type RunningCli, runZerog, startZerog } from '../support/zerog-cli.ts'

const MINUTE_MS = 60_000

// A checkout has one devnet: one that somebody works with is left alone.
const skip = findDevnet() === undefined ? false : `a devnet runs already: ${DEVNET_POINTER}`

describe('zerog devnet', { skip }, () => {
  const folder = tempDir()
  let devnet: RunningCli | undefined
  after(async () => {
    devnet?.kill('SIGKILL')
    await devnet?.done
  })

  it('runs a network that other terminals find without any setting', { timeout: 3 * MINUTE_MS }, async () => {
    const running = startZerog(['devnet', '--agents', '1'], { cwd: folder })
    devnet = running
    let ended = false
    void running.done.then(() => {
      ended = true
    })
    await until('the devnet is up', () => ended || findDevnet(), 2 * MINUTE_MS)
    assert.equal(ended, false, running.stderr())

    const status = await runZerog(['status', '--json'], { cwd: folder })
    assert.equal(status.code, 0, status.stderr)
    const { providers } = status.json<{ providers: { operator: string }[] }>()
    assert.equal(providers.length, 1)
    const list = await runZerog(['storage', 'list'], { cwd: folder })
    assert.deepEqual([list.code, list.stderr], [0, 'using the local devnet\n'])
    const operator = providers[0]?.operator ?? ''
    const doctor = await runZerog(['doctor', '--operator', operator], { cwd: folder })
    assert.equal(doctor.code, 0, doctor.stdout)
    const which = await runZerog(['doctor', '--json'], { cwd: folder })
    assert.deepEqual([which.code, which.errorCode()], [64, 'BAD_REQUEST'])
  })

  it('error: a second one beside it does not start', async () => {
    const second = await runZerog(['devnet', '--agents', '1'], { cwd: folder })
    assert.equal(second.code, 75)
    assert.match(second.stderr, /a devnet runs already/)
  })

  it('SIGTERM stops all of it; then there is no chain to talk to', { timeout: MINUTE_MS }, async () => {
    devnet?.kill('SIGTERM')
    assert.equal((await devnet?.done)?.code, 0)
    assert.equal(findDevnet(), undefined)
    const status = await runZerog(['status', '--json'], { cwd: folder })
    assert.deepEqual([status.code, status.errorCode()], [78, 'CONFIG_INVALID'])
  })
})
