import { z } from 'zod'
import { formatWei, shortHex } from '../../agents/cli/format.ts'
import { CUSTOMER_ACCOUNT, devAccount } from '../../deploy/dev-account.ts'
import { readDealState } from '../../sdk/chain/storage.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { submitJob } from '../../sdk/client/submit-job.ts'
import { waitJob } from '../../sdk/client/wait-job.ts'
import type { JobAnswer, JobRequest } from '../../sdk/protocol/job-input.ts'
import { SHIPPED_MODELS } from '../devnet/serve-models.ts'
import type { ComputeStory } from './compute-story.ts'
import { classesOf, type Heldout, readHeldout } from './heldout-digits.ts'

const ROWS_OF_A_LINE = 20
const DURATION_SEC = 300n

/** Has the held-out digits classified once more, as one batch through the escrow, and wants the same classes. */
export async function runBatchJob(story: ComputeStory): Promise<void> {
  const { devnet, output, signal, inference, models, digits, nameOf } = story
  const { chain } = devnet
  const model = SHIPPED_MODELS.digits.id
  const modelRoot = models.get('digits')?.manifestRoot
  const [offer] = await inference.services({ model, signal })
  if (modelRoot === undefined || offer === undefined || digits === undefined)
    throw new Error(`nobody serves ${model}`)
  const work = {
    chain,
    signer: devAccount(CUSTOMER_ACCOUNT, devnet.provider),
    transport: nodeTransport,
    signal,
  }
  const requests = requestsOf(await readHeldout())
  const { jobId, terms, bondWei } = await submitJob({
    ...work,
    ...{ requests, model, modelRoot, provider: offer.provider, durationSec: DURATION_SEC },
    minUnits: BigInt(digits.images),
  })
  output.note(
    `   job ${jobId}: ${requests.length} lines stored as ${shortHex(terms.inputRoot)}, ${formatWei(terms.maxPriceWei)} and a bond of ${formatWei(bondWei)} in escrow`,
  )
  const result = await waitJob({
    ...work,
    ...{ jobId, lines: requests.length },
    check: (answers) => isSame(answers.flatMap(classesOfAnswer), digits.predictions),
    onState: (state, { provider }) =>
      output.note(`   ${state}${state === 'open' ? '' : `, by ${nameOf(provider)}`}`),
  })
  const dealState = await readDealState(chain, result.outputTxSeq, { signal })
  if (dealState !== 'sealed') throw new Error(`the output is ${dealState}, not sealed`)
  output.note(
    `   output ${shortHex(result.outputRoot)} is sealed, verified, and names the ${digits.images} classes that the service named; ${formatWei(result.priceWei)} paid, ${formatWei(result.creditWei)} back from the escrow`,
  )
  story.job = {
    ...{ jobId, provider: nameOf(result.provider), lines: requests.length, units: result.outputUnits },
    ...{ inputRoot: terms.inputRoot, outputRoot: result.outputRoot, priceWei: result.priceWei },
  }
}

function requestsOf({ images, maxPixel }: Heldout): JobRequest[] {
  return Array.from({ length: Math.ceil(images.length / ROWS_OF_A_LINE) }, (_, line) => {
    const rows = images.slice(line * ROWS_OF_A_LINE, (line + 1) * ROWS_OF_A_LINE)
    const data = rows.flat().map((value) => value / maxPixel)
    const inputs = { pixel_values: { dims: [rows.length, 1, 8, 8], data } }
    return {
      customId: `digits-${line}`,
      url: '/v1/infer',
      body: { model: SHIPPED_MODELS.digits.id, inputs },
    }
  })
}

const inferBody = z.object({ outputs: z.object({ logits: z.object({ data: z.array(z.number()) }) }) })

function classesOfAnswer({ id, result }: JobAnswer): number[] {
  if (!result.ok) throw new Error(`${id} of the output: ${result.code}: ${result.message}`)
  return classesOf(inferBody.parse(result.body).outputs.logits.data)
}

const isSame = (left: readonly number[], right: readonly number[]): boolean =>
  left.length === right.length && left.every((value, index) => value === right[index])
