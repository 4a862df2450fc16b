// A deployment that kills its own process, as a power cut would, at the line that its arguments name.
import { JsonRpcProvider } from 'ethers'
import { deployAll } from '../../deploy/deploy-all.ts'
import { devAccount } from '../../deploy/dev-account.ts'
import { networkByName } from '../../deploy/networks.ts'

const [url, directory, kind, step] = process.argv.slice(2)
if (url === undefined || directory === undefined) throw new Error('usage: url directory kind step')
const provider = new JsonRpcProvider(url, undefined, { cacheTimeout: -1 })
await deployAll({
  provider,
  signer: devAccount(1).connect(provider),
  network: networkByName('localhost'),
  directory,
  pollMs: 5,
  onEvent: (event) => {
    if (event.kind === kind && event.step === step) process.kill(process.pid, 'SIGKILL')
  },
})
provider.destroy()
