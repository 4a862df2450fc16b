import { z } from 'zod'
import { type Finding, fail, ok, warn } from './finding.ts'
import { formatSeconds, formatWei } from './format.ts'

/** A settlement that was due so often is stuck. */
const LATE_TIMES = 3

/** What a compute agent's /status says of its model and its money. */
const servingSchema = z.object({
  model: z.object({
    id: z.string(),
    state: z.enum(['starting', 'ready']),
    restarts: z.number(),
    problem: z.string().optional(),
    kind: z.string().optional(),
    executionProvider: z.string().optional(),
  }),
  activeRequests: z.number(),
  unsettledWei: z.union([z.number(), z.string()]).transform(BigInt),
  /** Age of the oldest receipt that is not settled, and how old one should get. */
  unsettledSec: z.number().default(0),
  settleWithinSec: z.number().default(Number.POSITIVE_INFINITY),
  problems: z.array(z.string()),
})

/** What a running compute agent tells; undefined when it is none. Its standing on chain is examined by itself. */
export function modelFindings(status: unknown): Finding[] | undefined {
  const serving = servingSchema.safeParse(status)
  if (!serving.success) return undefined
  const { model, activeRequests, unsettledWei, unsettledSec, settleWithinSec } = serving.data
  const found = `${activeRequests} under way; ${formatWei(unsettledWei)} served and not settled`
  if (unsettledSec <= LATE_TIMES * settleWithinSec) return [modelFinding(model), ok('requests', found)]
  return [
    modelFinding(model),
    warn(
      'requests',
      `${found}, the oldest of it for ${formatSeconds(unsettledSec)}`,
      'look for "settlement would be refused" and settle-fees in the log: gas, stake, or accounts that cannot pay',
    ),
  ]
}

function modelFinding({
  id,
  state,
  problem,
  restarts,
  kind,
  executionProvider,
}: z.output<typeof servingSchema>['model']): Finding {
  if (state === 'starting') {
    if (problem === undefined)
      return warn('model', `${id} is being loaded`, 'wait: it is fetched, checked and loaded')
    return fail(
      'model',
      `${id} does not run: ${problem}`,
      'correct MODEL_ROOT, MODEL_DIR, MODEL_FILE or EXECUTION_PROVIDER; its log has more, `zerog compute doctor` tries the machine',
    )
  }
  const found = `${id} (${kind ?? 'model'}) on ${executionProvider ?? '?'}`
  if (restarts === 0) return ok('model', found)
  return warn(
    'model',
    `${found}; its process ended ${restarts} times`,
    'look for "model process ended" in the log: memory, driver or the model',
  )
}
