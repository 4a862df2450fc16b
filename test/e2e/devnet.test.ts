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

  it('runs a network that other terminals find without any setting', { timeout: 5 * MINUTE_MS }, async () => {
    const counts = ['--agents', '6', '--da', '0', '--compute', '1']
    const running = startZerog(['devnet', ...counts], { cwd: folder })
    devnet = running
    let ended = false
    void running.done.then(() => {
      ended = true
    })
    await until('the devnet is up', () => ended || findDevnet(), 4 * MINUTE_MS)
    assert.equal(ended, false, running.stderr())

    const status = await runZerog(['status', '--json'], { cwd: folder })
    assert.equal(status.code, 0, status.stderr)
    const { providers } = status.json<{ providers: { operator: string }[] }>()
    assert.equal(providers.length, 6)
    const list = await runZerog(['storage', 'list'], { cwd: folder })
    assert.deepEqual([list.code, list.stderr], [0, 'using the local devnet\n'])
    const operator = providers[0]?.operator ?? ''
    const doctor = await runZerog(['doctor', '--operator', operator], { cwd: folder })
    assert.equal(doctor.code, 0, doctor.stdout)
    // Its compute agent serves the chat model that the devnet stored before.
    const models = await runZerog(['compute', 'services', '--json'], { cwd: folder })
    assert.equal(models.code, 0, models.stderr)
    const { services } = models.json<{ services: { model: string; modelRoot?: string }[] }>()
    assert.deepEqual(
      services.map(({ model }) => model),
      ['zerog/chat-mini'],
    )
    const which = await runZerog(['doctor', '--json'], { cwd: folder })
    assert.deepEqual([which.code, which.errorCode()], [64, 'BAD_REQUEST'])
  })

  it('error: a second one beside it does not start', async () => {
    const second = await runZerog(['devnet', '--agents', '1'], { cwd: folder })
    assert.equal(second.code, 75)
    assert.match(second.stderr, /a devnet runs already/)
  })

  it('error: compute agents without room for their models', async () => {
    const small = await runZerog(['devnet', '--agents', '5', '--compute', '1', '--json'], { cwd: folder })
    assert.equal(small.code, 64, small.stderr)
    assert.match(small.stderr, /--compute needs --agents 6/)
  })

  it('SIGTERM stops all of it; then there is no chain to talk to', { timeout: MINUTE_MS }, async () => {
    devnet?.kill('SIGTERM')
    assert.equal((await devnet?.done)?.code, 0)
    assert.equal(findDevnet(), undefined)
    const status = await runZerog(['status', '--json'], { cwd: folder })
    assert.deepEqual([status.code, status.errorCode()], [78, 'CONFIG_INVALID'])
  })
})
