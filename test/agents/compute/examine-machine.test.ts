import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { examineMachine } from '../../../agents/compute/examine-machine.ts'
import { modelDir } from './compute-world.ts'

describe('examineMachine', () => {
  const signal = AbortSignal.timeout(60_000)

  it('default: the CPU runs the graph; what the machine lacks is said, not thrown', async () => {
    const onnxFile = join(modelDir('digits'), 'onnx/model.onnx')
    const { providers, chosen, cores } = await examineMachine({ onnxFile, signal })
    assert.deepEqual(
      providers.map(({ name }) => name),
      ['cuda', 'webgpu', 'cpu'],
    )
    const cpu = providers.find(({ name }) => name === 'cpu')
    assert.ok(cpu?.isBuiltIn && cpu.runMs !== undefined && cpu.loadMs !== undefined, JSON.stringify(cpu))
    for (const { runMs, problem } of providers) assert.notEqual(runMs === undefined, problem === undefined)
    assert.ok(chosen !== undefined && cores > 0)
  })

  it('error: a graph that nothing loads leaves nothing chosen', async () => {
    const { chosen, providers } = await examineMachine({ onnxFile: '/nonexistent.onnx', signal })
    assert.equal(chosen, undefined)
    assert.ok(providers.every(({ problem }) => problem !== undefined))
  })
})
