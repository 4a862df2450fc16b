import { randomBytes } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEther, type Wallet } from 'ethers'
import { createKeystore, loadKeystore } from '../../agents/kernel/keystore.ts'
import type { Chain } from '../../sdk/chain/connect.ts'
import { registerCall, setEndpointCall } from '../../sdk/chain/operators.ts'
import { sendCall, signerSender } from '../../sdk/chain/send.ts'
import { allocateCall, stakeCall } from '../../sdk/chain/staking.ts'

/** An operator of the devnet: its key lies encrypted in its own folder. */
export type DevnetOperator = {
  name: string
  folder: string
  address: string
  url: string
  port: number
  env: Record<string, string>
}

const FUNDS_WEI = parseEther('200')
const STAKE_WEI = parseEther('100')

type FundedKey = {
  name: string
  folder: string
  keystore: string
  passwordFile: string
  password: string
  address: string
}

/** Makes one key per name, each in its own folder, and sends coins to them. */
export async function fundKeys(funder: Wallet, names: readonly string[], base: string): Promise<FundedKey[]> {
  const keys = await Promise.all(names.map((name) => makeKey(name, join(base, name))))
  for (const { address } of keys) {
    const response = await funder.sendTransaction({ to: address, value: FUNDS_WEI })
    await response.wait()
  }
  return keys
}

async function makeKey(name: string, folder: string): Promise<FundedKey> {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const keystore = join(folder, 'keystore.json')
  const passwordFile = join(folder, 'keystore.password')
  const password = randomBytes(24).toString('base64url')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  const address = await createKeystore(keystore, password)
  return { name, folder, keystore, passwordFile, password, address }
}

/** Registers a funded key as an operator with its URL, and puts its stake behind storage. Needs automine. */
export async function createOperator(
  chain: Chain,
  key: FundedKey & { port: number },
): Promise<DevnetOperator> {
  const { name, folder, address, port } = key
  const url = `http://127.0.0.1:${port}`
  const wallet = (await loadKeystore(key.keystore, key.password)).connect(chain.provider)
  const sender = await signerSender(chain, wallet)
  for (const [label, call] of [
    ['register', registerCall(chain, `devnet:${name}`)],
    ['endpoint', setEndpointCall(chain, url)],
    ['stake', stakeCall(chain, STAKE_WEI)],
    ['allocate', allocateCall(chain, { amountWei: STAKE_WEI })],
  ] as const) {
    await sendCall(sender, { ...call, label })
  }
  return {
    name,
    folder,
    address,
    url,
    port,
    env: { KEYSTORE_FILE: key.keystore, KEYSTORE_PASSWORD_FILE: key.passwordFile },
  }
}
