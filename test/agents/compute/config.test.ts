import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { workerVariables } from '../../../agents/compute/config.ts'

describe('workerVariables', () => {
  it('behavior: the model is not told the keys of the agent, nor whom it talks to', () => {
    const env = {
      ...{
        PATH: '/bin',
        CUDA_VISIBLE_DEVICES: '0',
        PRIVATE_KEY: '0x1',
        KEYSTORE_FILE: 'k',
        KEYSTORE_PASSWORD: 'p',
      },
      ...{ RPC_URL: 'http://key@rpc', REDIS_URL: 'redis://:p@r' },
    }
    assert.deepEqual(workerVariables(env), { PATH: '/bin', CUDA_VISIBLE_DEVICES: '0' })
  })
})
