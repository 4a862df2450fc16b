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

/** Makes a key in `folder`, funds it, stakes it behind storage and registers its URL. Needs automine. */
export async function createOperator(
  chain: Chain,
  funder: Wallet,
  options: { name: string; folder: string; port: number },
): Promise<DevnetOperator> {
  const { name, folder, port } = options
  const url = `http://127.0.0.1:${port}`
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const keystore = join(folder, 'keystore.json')
  const passwordFile = join(folder, 'keystore.password')
  const password = randomBytes(24).toString('base64url')
  writeFileSync(passwordFile, password, { mode: 0o600 })
  const address = await createKeystore(keystore, password)
  await (await funder.sendTransaction({ to: address, value: FUNDS_WEI })).wait()

  const wallet = (await loadKeystore(keystore, password)).connect(chain.provider)
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
    env: { KEYSTORE_FILE: keystore, KEYSTORE_PASSWORD_FILE: passwordFile },
  }
}
