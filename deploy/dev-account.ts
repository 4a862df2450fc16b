import { HDNodeWallet, Mnemonic, type Provider, Wallet } from 'ethers'

/** The public development mnemonic of Hardhat and anvil: keys that everybody knows, for local chains only. */
const MNEMONIC = 'test test test test test test test test test test test junk'

/** Account 0 sends the compute contracts and nothing else: public clients expect them at its first addresses. */
export const DEPLOYER_ACCOUNT = 1
export const USER_ACCOUNT = 2
/** Publishes blobs where the user's own money is counted. */
export const PUBLISHER_ACCOUNT = 3
/** Owns the models that a devnet stores. */
export const MODEL_OWNER_ACCOUNT = 4
/** Asks the models of a devnet, and pays for the answers. */
export const CUSTOMER_ACCOUNT = 5

/** One of a local chain's funded accounts. */
export function devAccount(index: number, provider?: Provider): Wallet {
  const { privateKey } = HDNodeWallet.fromMnemonic(Mnemonic.fromPhrase(MNEMONIC), `m/44'/60'/0'/0/${index}`)
  return new Wallet(privateKey, provider)
}
