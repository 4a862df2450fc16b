import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/**
 * How often the lag of the event loop is sampled (its figures include this). Every 10 ms, the default, most of what an
 * idle agent costs is waking up for it.
 */
const LAG_SAMPLE_MS = 100

/** The metrics every agent has, on the registry that /metrics serves; agents add theirs to `registry`. */
export type KernelMetrics = ReturnType<typeof createMetrics>

/** Creates a registry of its own (never the global one, so that several agents fit in one process). */
export function createMetrics(name: string) {
  const registry = new Registry()
  registry.setDefaultLabels({ agent: name })
  const registers = [registry]
  return {
    registry,
    headBlock: new Gauge({ name: 'zerog_head_block', help: 'Number of the last block seen', registers }),
    cursorLagBlocks: new Gauge({
      name: 'zerog_cursor_lag_blocks',
      help: 'Blocks between the head and what a follower has applied',
      labelNames: ['follower'],
      registers,
    }),
    reorgs: new Counter({
      name: 'zerog_reorgs_total',
      help: 'Rollbacks of a follower',
      labelNames: ['follower'],
      registers,
    }),
    dutyDue: new Counter({
      name: 'zerog_duty_due_total',
      help: 'Items found due',
      labelNames: ['duty'],
      registers,
    }),
    jobs: new Counter({
      name: 'zerog_jobs_total',
      help: 'Jobs by outcome: performed, already_done, retried, failed, expired',
      labelNames: ['duty', 'outcome'],
      registers,
    }),
    // From a bare transaction (under a second on a fast chain) to a long repair or fine-tuning job.
    jobSeconds: new Histogram({
      name: 'zerog_job_seconds',
      help: 'Time one attempt at a job took',
      labelNames: ['duty'],
      buckets: [0.05, 0.25, 1, 4, 15, 60, 240, 900],
      registers,
    }),
    deadlineMarginBlocks: new Gauge({
      name: 'zerog_deadline_margin_blocks',
      help: 'Blocks left to the deadline when the last job of a duty was done',
      labelNames: ['duty'],
      registers,
    }),
    transactions: new Counter({
      name: 'zerog_transactions_total',
      help: 'Transactions by outcome: sent, mined, reverted, repriced, rebroadcast, cancelled, lost',
      labelNames: ['outcome'],
      registers,
    }),
    pendingTransactions: new Gauge({
      name: 'zerog_pending_transactions',
      help: 'Transactions not mined yet',
      registers,
    }),
    errors: new Counter({
      name: 'zerog_errors_total',
      help: 'Errors by code',
      labelNames: ['code'],
      registers,
    }),
    /** Adds the process and Node.js metrics; only a process of its own wants them. */
    collectProcess: () =>
      collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: LAG_SAMPLE_MS }),
  }
}
