import { fileURLToPath } from 'node:url'
import hardhatEthers from '@nomicfoundation/hardhat-ethers'
import hardhatTypechain from '@nomicfoundation/hardhat-typechain'
import hardhatVerify from '@nomicfoundation/hardhat-verify'
import { defineConfig } from 'hardhat/config'

export default defineConfig({
  plugins: [hardhatEthers, hardhatTypechain, hardhatVerify],
  paths: {
    sources: 'contracts',
    tests: { solidity: 'test/invariants' },
    artifacts: 'artifacts',
    cache: 'cache',
  },
  solidity: {
    compilers: [
      {
        version: '0.8.37',
        // The compiler comes from the npm package `solc`: nothing is downloaded at build time.
        path: fileURLToPath(new URL('node_modules/solc/soljson.js', import.meta.url)),
        settings: {
          evmVersion: 'prague',
          optimizer: { enabled: true, runs: 800 },
        },
      },
    ],
    npmFilesToBuild: [],
  },
  typechain: { outDir: 'typechain-types', tsNocheck: false },
  test: {
    solidity: {
      profiles: {
        default: {
          fuzz: { runs: 256, seed: '0x2a' },
          invariant: { runs: 256, depth: 128, failOnRevert: true },
        },
        // `npm run test:fast`: the same properties, fewer tries.
        fast: {
          fuzz: { runs: 64, seed: '0x2a' },
          invariant: { runs: 16, depth: 32, failOnRevert: true },
        },
      },
    },
  },
  networks: {
    default: { type: 'edr-simulated', chainId: 31337, hardfork: 'prague' },
  },
})
