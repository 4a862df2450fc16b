import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEther, type Wallet } from 'ethers'
import { createKeystore, loadKeystore } from '../../agents/kernel/keystore.ts'
import type { ChainCall } from '../../sdk/chain/chain-call.ts'
import { COMPUTE_SERVICE, type ComputeChain } from '../../sdk/chain/compute-chain.ts'
import type { Chain } from '../../sdk/chain/connect.ts'
import { DA_SERVICE, type DaChain } from '../../sdk/chain/da-chain.ts'
import { registerCall, setEndpointCall } from '../../sdk/chain/operators.ts'
import { sendCall, signerSender } from '../../sdk/chain/send.ts'
import { allocateCall, delegateCall, stakeCall } from '../../sdk/chain/staking.ts'

/** Which agent an operator runs; each agent has a key of its own. */
export type AgentKind = 'storage' | 'da' | 'compute'

/** An operator of the devnet: its key lies encrypted in its own folder. */
export type DevnetOperator = {
  kind: AgentKind
  name: string
  folder: string
  address: string
  url: string
  port: number
  env: Record<string, string>
}

const FUNDS_WEI = parseEther('200')
const STAKE_WEI = parseEther('100')

type AgentKey = { kind: AgentKind; name: string }

type FundedKey = AgentKey & {
  folder: string
  keystore: string
  passwordFile: string
  password: string
  address: string
}

/** Makes one key per agent, each in its own folder, and sends coins to them. */
export async function fundKeys(
  funder: Wallet,
  agents: readonly AgentKey[],
  base: string,
): Promise<FundedKey[]> {
  const keys = await Promise.all(agents.map((agent) => makeKey(agent, join(base, agent.name))))
  for (const { address } of keys) {
    const response = await funder.sendTransaction({ to: address, value: FUNDS_WEI })
    await response.wait()
  }
  return keys
}

async function makeKey({ kind, name }: AgentKey, folder: string): Promise<FundedKey> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const keystore = join(folder, 'keystore.json')
  const passwordFile = join(folder, 'keystore.password')
  const password = randomBytes(24).toString('base64url')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  const address = await createKeystore(keystore, password)
  return { kind, name, folder, keystore, passwordFile, password, address }
}

/** Registers a funded key as an operator with its URL, and puts its stake behind its service. Needs automine. */
export async function createOperator(
  chain: DaChain & ComputeChain,
  key: FundedKey & { port: number },
): Promise<DevnetOperator> {
  const { kind, name, folder, address, port } = key
  const url = `http://127.0.0.1:${port}`
  const wallet = (await loadKeystore(key.keystore, key.password)).connect(chain.provider)
  const sender = await signerSender(chain, wallet)
  const register: LabelledCall = ['register', registerCall(chain, `devnet:${name}`)]
  const calls = {
    storage: () => storageCalls(chain, url),
    da: () => daCalls(chain, { address, url }),
    compute: () => computeCalls(chain, url),
  }
  for (const [label, call] of [register, ...calls[kind]()]) await sendCall(sender, { ...call, label })
  return {
    kind,
    name,
    folder,
    address,
    url,
    port,
    env: { KEYSTORE_FILE: key.keystore, KEYSTORE_PASSWORD_FILE: key.passwordFile },
  }
}

type LabelledCall = readonly [string, ChainCall]

function storageCalls(chain: Chain, url: string): LabelledCall[] {
  return [
    ['endpoint', setEndpointCall(chain, url)],
    ['stake', stakeCall(chain, STAKE_WEI)],
    ['allocate', allocateCall(chain, { amountWei: STAKE_WEI })],
  ]
}

/** A bond of its own to disperse, and a stake in the delegated pool for its seats. */
function daCalls(chain: DaChain, { address, url }: { address: string; url: string }): LabelledCall[] {
  const { DaCommittee, DataAvailability } = chain.da.addresses
  const { bondWei } = chain.daTerms
  return [
    ['endpoint', setEndpointCall(chain, url, DA_SERVICE)],
    ['stake', stakeCall(chain, bondWei)],
    ['bond', allocateCall(chain, { amountWei: bondWei, service: DataAvailability })],
    ['delegate', delegateCall(chain, { operator: address, amountWei: STAKE_WEI })],
    ['allocate', allocateCall(chain, { amountWei: STAKE_WEI, service: DaCommittee })],
  ]
}

/** The stake behind a service; the agent lists it once its model runs. */
function computeCalls(chain: ComputeChain, url: string): LabelledCall[] {
  const { InferenceServing } = chain.compute.addresses
  return [
    ['endpoint', setEndpointCall(chain, url, COMPUTE_SERVICE)],
    ['stake', stakeCall(chain, STAKE_WEI)],
    ['allocate', allocateCall(chain, { amountWei: STAKE_WEI, service: InferenceServing })],
  ]
}
