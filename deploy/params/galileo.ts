import { parseEther } from 'ethers'
import type { NetworkParams } from '../deploy-params.ts'
import { realTimeParams } from './real-time.ts'

/** The 0G testnet Galileo (v2). The list price is about 0.07 of the native coin for a gibibyte and a year. */
export const galileo: NetworkParams = {
  name: 'galileo',
  chainId: 16_602,
  live: true,
  confirmations: 3,
  explorer: {
    kind: 'etherscan',
    url: 'https://chainscan-galileo.0g.ai',
    apiUrl: 'https://chainscan-galileo.0g.ai/open/api',
  },
  resolve: (measured) =>
    realTimeParams(measured, {
      targetDraws: 64,
      parityBondWei: 10_000_000_000_000_000n,
      listPriceWei: 1_000_000n,
      da: {
        targetDraws: 16,
        minStakeWei: parseEther('1'),
        bondWei: parseEther('10'),
        pricePerBlobPeriodWei: 100_000_000_000n,
        bountyWei: 200_000_000_000_000n,
      },
      compute: {
        minAccountWei: parseEther('0.01'),
        minTransferWei: parseEther('0.001'),
        minProviderStakeWei: parseEther('10'),
        faultSlashWei: parseEther('1'),
        defaultDailyCapWei: parseEther('1'),
        minBondWei: parseEther('0.001'),
      },
    }),
}
