/** What agents count: processor time, column bytes received, seconds of each step of a blob. */
export type AgentTotals = {
  readonly cpuSec: number
  readonly receivedBytes: number
  readonly steps: Readonly<Record<Step, number>>
}

const STEPS = ['encode', 'verify'] as const
type Step = (typeof STEPS)[number]

const TIMEOUT_MS = 30_000

/** The sum over some agents' `/metrics`. */
export async function agentTotals(urls: readonly string[]): Promise<AgentTotals> {
  const texts = await Promise.all(
    urls.map(async (url) => {
      const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
      if (!response.ok) throw new Error(`${url}/metrics answers ${response.status}`)
      return response.text()
    }),
  )
  const sum = (name: string, label?: string) =>
    texts.reduce((total, text) => total + seriesValue(text, name, label), 0)
  const steps = STEPS.map((step) => [step, sum('zerog_da_step_seconds_sum', `step="${step}"`)])
  return {
    cpuSec: sum('process_cpu_seconds_total'),
    receivedBytes: sum('zerog_da_received_bytes_total'),
    steps: Object.fromEntries(steps) as Record<Step, number>,
  }
}

/** What was added between two looks. */
export function totalsBetween(before: AgentTotals, after: AgentTotals): AgentTotals {
  const steps = STEPS.map((step) => [step, after.steps[step] - before.steps[step]])
  return {
    cpuSec: after.cpuSec - before.cpuSec,
    receivedBytes: after.receivedBytes - before.receivedBytes,
    steps: Object.fromEntries(steps) as Record<Step, number>,
  }
}

/** The value of one series, with `label` among others where given; 0 for one that has no value yet. */
function seriesValue(text: string, name: string, label = ''): number {
  const line = text.split('\n').find((entry) => entry.startsWith(`${name}{`) && entry.includes(label))
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1))
}
