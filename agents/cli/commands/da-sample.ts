import { Command } from 'commander'
import { nodeTransport } from '../../../sdk/client/http-node.ts'
import { loadNodeKzg } from '../../../sdk/client/kzg-node.ts'
import { createLightClient, type Verdict } from '../../../sdk/client/light-client.ts'
import { parseBlobId, parseCount } from '../amount.ts'
import { withDaSession } from '../da-session.ts'
import { formatTable, shortHex } from '../format.ts'

const HELP = `
Draws columns by its own randomness, asks their holders, and verifies every cell here. AVAILABLE names the chance that a
blob which nobody can restore would have passed: 3.9e-6 with 16 samples. Exit code 0 for AVAILABLE only.`

/** `zerog da sample BLOBID`: makes sure that data is there without reading it. */
export function sampleCommand(): Command {
  return new Command('sample')
    .description('be a light client: sample random columns and say whether the data is there')
    .argument('<blobId>', 'id of the blob', parseBlobId)
    .option('--samples <count>', 'columns to draw', parseCount('--samples', 1, 128), 16)
    .addHelpText('after', HELP)
    .action(
      withDaSession(
        async ({ chain, signal }, output, [blobId]: [string], { samples }: { samples: number }) => {
          const verifier = await loadNodeKzg()
          const client = createLightClient({ chain, verifier, samples, transport: nodeTransport })
          const startedMs = performance.now()
          const verdict = await client.sample(blobId, { signal })
          const seconds = (performance.now() - startedMs) / 1000
          output.result({ ...verdict, seconds }, verdictLines(verdict, seconds))
          if (verdict.verdict !== 'AVAILABLE') process.exitCode = 1
        },
      ),
    )
}

/** A verdict in words. */
function verdictLines(verdict: Verdict, seconds: number): string[] {
  if (verdict.verdict === 'INVALID')
    return [
      `INVALID: ${verdict.error.message}`,
      'every client gets this verdict; the blob carries nothing that can be used',
    ]
  const served = verdict.samples.filter(({ isServed }) => isServed).length
  const confidence =
    verdict.verdict === 'AVAILABLE'
      ? `; data that nobody can restore passes with ${verdict.foolChance.toExponential(1)}`
      : ''
  return [
    `${verdict.verdict}: ${served} of ${verdict.samples.length} samples served in ${seconds.toFixed(1)} s${confidence}`,
    `quorum ${verdict.quorum.toUpperCase()}, its signature verified here`,
    '',
    ...formatTable(
      ['column', 'served by'],
      verdict.samples.map((sample) => [
        String(sample.column),
        sample.isServed ? shortHex(sample.operator) : `nobody (${sample.code})`,
      ]),
    ),
  ]
}
