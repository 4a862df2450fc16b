import { parseEther } from 'ethers'
import type { NetworkParams } from '../deploy-params.ts'
import { realTimeParams } from './real-time.ts'

/** Ethereum's testnet Sepolia. Fewer draws than elsewhere, since its gas is dear. */
export const sepolia: NetworkParams = {
  name: 'sepolia',
  chainId: 11_155_111,
  live: true,
  confirmations: 3,
  explorer: { kind: 'sourcify' },
  resolve: (measured) =>
    realTimeParams(measured, {
      targetDraws: 8,
      parityBondWei: 1_000_000_000_000_000n,
      listPriceWei: 100_000n,
      da: {
        targetDraws: 4,
        minStakeWei: parseEther('0.01'),
        bondWei: parseEther('0.1'),
        pricePerBlobPeriodWei: 10_000_000_000n,
        bountyWei: 200_000_000_000_000n,
      },
      compute: {
        minAccountWei: parseEther('0.001'),
        minTransferWei: parseEther('0.0001'),
        minProviderStakeWei: parseEther('0.1'),
        faultSlashWei: parseEther('0.01'),
        defaultDailyCapWei: parseEther('0.01'),
        minBondWei: parseEther('0.0001'),
      },
    }),
}
