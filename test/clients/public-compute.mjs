// What the public compute SDK does with a user's money and keys, without one address argument; JSON on the last line.
// Usage: node public-compute.mjs RPC_URL PRIVATE_KEY PROVIDER LOCK_SEC
import { createRequire } from 'node:module'
import { JsonRpcProvider, parseEther, Wallet } from 'ethers'

const { createZGComputeNetworkBroker } = createRequire(import.meta.url)('@0gfoundation/0g-compute-ts-sdk')

const [url, key, provider, lockSec] = process.argv.slice(2)
const rpc = new JsonRpcProvider(url, undefined, { cacheTimeout: -1 })
const user = new Wallet(key, rpc)
const { inference, ledger } = await createZGComputeNetworkBroker(user)

const services = await inference.listService()
await ledger.addLedger(3)
await ledger.depositFund(1)
await ledger.transferFund(provider, 'inference', parseEther('1'))
await inference.acknowledgeProviderSigner(provider)
const acknowledged = await inference.acknowledged(provider)
const metadata = await inference.getServiceMetadata(provider)
const funded = await ledger.getLedger()
const { Authorization } = await inference.getRequestHeaders(provider, 'hello')
const apiKey = await inference.requestProcessor.createApiKey(provider, { tokenId: 7 })
await inference.revokeApiKey(provider, 7)
await ledger.retrieveFund('inference')
const asked = (await inference.getAccount(provider)).pendingRefund
await rpc.send('evm_increaseTime', [Number(lockSec) + 1])
await ledger.retrieveFund('inference')
const { availableBalance } = await ledger.getLedger()
await ledger.refund(4)
const gone = await ledger.getLedger().then(
  () => '',
  (error) => error.message,
)
const answer = {
  services: services.map((one) => ({ provider: one.provider, acknowledged: one.teeSignerAcknowledged })),
  acknowledged,
  metadata,
  fundedWei: [funded.availableBalance, funded.totalBalance].map(String),
  authorization: Authorization,
  apiKey: apiKey.rawToken,
  askedWei: String(asked),
  availableWei: String(availableBalance),
  gone,
}
process.stdout.write(`\n${JSON.stringify(answer)}\n`)
process.exit(0)
