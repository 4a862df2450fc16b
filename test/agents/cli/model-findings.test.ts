import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { modelFindings } from '../../../agents/cli/model-findings.ts'

describe('modelFindings', () => {
  const status = (unsettledSec: number) => ({
    model: {
      id: 'zerog/chat-mini',
      state: 'ready',
      restarts: 0,
      kind: 'text-generation',
      executionProvider: 'cpu',
    },
    ...{ activeRequests: 1, unsettledWei: '5000', problems: [], unsettledSec, settleWithinSec: 300 },
  })
  const requests = (unsettledSec: number) =>
    modelFindings(status(unsettledSec))?.find(({ check }) => check === 'requests')

  it('default: what is served and not settled', () => {
    const finding = requests(900)
    assert.equal(finding?.state, 'ok')
    assert.match(finding.found, /^1 under way; 5000 wei served and not settled$/)
  })

  it('error: receipts that wait for too long, with what to look for', () => {
    const finding = requests(901)
    assert.equal(finding?.state, 'warn')
    assert.match(finding.found, /the oldest of it for 15 min/)
    assert.match(finding.mend ?? '', /settle-fees/)
  })

  it('default: the status of another kind of agent is none', () => {
    assert.equal(modelFindings({ shards: {} }), undefined)
  })
})
