import { join } from 'node:path'
import { parseEther } from 'ethers'
import { Pool } from 'undici'
import { z } from 'zod'
import type { ExecutionProvider } from '../../../agents/compute/worker/messages.ts'
import { depositFundCall, transferFundCall } from '../../../sdk/chain/ledger.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { createSessionToken } from '../../../sdk/protocol/session-token.ts'
import { startDevnet } from '../../devnet/start-devnet.ts'
import { processorSec } from './processor-time.ts'

/** A compute agent on a chain of its own, and a user with money at it. */
export type BenchAgent = {
  /** Starts the agent again with another model. */
  serve(model: { folder: string; env?: Record<string, string> }): Promise<void>
  /** Sends a body and reads the answer to its end; throws unless it is 200. */
  post(path: string, body: string | Uint8Array): Promise<Uint8Array>
  /** Processor time of the agent and of its model's process so far, in seconds; undefined where the system does not say. */
  spentSec(): { agent: number; worker: number } | undefined
  readonly dataDir: string
  stop(): Promise<void>
}

const MODEL = 'bench/model'
const CONNECTIONS = 256
const statusSchema = z.looseObject({
  model: z.looseObject({ executionProvider: z.string(), workerPid: z.number() }),
})

/** Starts chain, Redis and the agent, with the smallest of the models that ship. */
export async function startBenchAgent(options: {
  root: string
  folder: string
  executionProvider: ExecutionProvider
}): Promise<BenchAgent> {
  const { root, folder, executionProvider } = options
  const base = {
    MODEL_ROOT: '',
    MODEL_ID: MODEL,
    MODEL_DIR: join(root, 'models/digits'),
    EXECUTION_PROVIDER: executionProvider,
    THREADS: '0',
    SERVICE_TYPE: 'bench',
    INPUT_PRICE_WEI: '1',
    OUTPUT_PRICE_WEI: '1',
    SETTLE_INTERVAL_SEC: '3600',
    USER_REQUESTS: String(CONNECTIONS),
    MAX_BODY_BYTES: String(64 << 20),
    LOG_LEVEL: 'warn',
  }
  const devnet = await startDevnet({
    ...{ root, base: join(folder, 'devnet'), agentCount: 0, computeCount: 1, agentEnv: base },
  })
  try {
    await devnet.startCompute([{ id: MODEL, manifestRoot: '' }])
    const [agent] = devnet.computeAgents
    if (agent === undefined) throw new Error('there is no compute agent')
    const { chain, user } = devnet
    const sender = await signerSender(chain, user)
    const amountWei = parseEther('2')
    await sendCall(sender, { ...depositFundCall(chain, 2n * amountWei), label: 'deposit' })
    await sendCall(sender, {
      ...transferFundCall(chain, { provider: agent.address, amountWei }),
      label: 'transfer',
    })
    const now = Date.now()
    const key = await createSessionToken(
      {
        ...{ address: user.address, provider: agent.address, timestamp: now, expiresAt: 0 },
        ...{ nonce: '1', generation: 0, tokenId: 1 },
      },
      (digest) => user.signMessage(digest),
    )
    const pool = new Pool(agent.url, { connections: CONNECTIONS, headersTimeout: 0, bodyTimeout: 0 })
    let workerPid = 0
    return {
      dataDir: agent.folder,

      async serve({ folder: modelDir, env = {} }) {
        await devnet.restartAgent(agent, { MODEL_DIR: modelDir, ...env })
        const status = statusSchema.parse(await (await fetch(`${agent.url}/status`)).json())
        workerPid = status.model.workerPid
        if (status.model.executionProvider !== executionProvider)
          throw new Error(`the agent runs on ${status.model.executionProvider}, not on ${executionProvider}`)
      },

      async post(path, body) {
        const { statusCode, body: answer } = await pool.request({
          ...{ method: 'POST', path: `/v1/proxy/${path}`, body },
          headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
        })
        const bytes = new Uint8Array(await answer.arrayBuffer())
        if (statusCode !== 200) throw new Error(`${path}: ${statusCode} ${new TextDecoder().decode(bytes)}`)
        return bytes
      },

      spentSec() {
        const [own, worker] = [processorSec([agent.child.pid]), processorSec([workerPid])]
        return own === undefined || worker === undefined ? undefined : { agent: own, worker }
      },

      async stop() {
        await pool.close()
        await devnet.stop()
      },
    }
  } catch (error) {
    await devnet.stop()
    throw error
  }
}
