import { Counter, Gauge, Histogram, type Registry } from 'prom-client'

export type ComputeMetrics = ReturnType<typeof createComputeMetrics>

type Sources = { activeRequests: () => number; unsettledWei: () => bigint; isReady: () => boolean }

/** The compute agent's own metrics, on the kernel's registry. */
export function createComputeMetrics(registry: Registry, sources: Sources) {
  const registers = [registry]
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      ...{ name, help, registers },
      collect() {
        this.set(value())
      },
    })
  return {
    active: gauge('zerog_compute_requests_active', 'Requests under way', sources.activeRequests),
    unsettled: gauge('zerog_compute_unsettled_wei', 'Fees served and not settled, in wei (approximate)', () =>
      Number(sources.unsettledWei()),
    ),
    ready: gauge('zerog_compute_model_ready', '1 while the model is loaded', () => Number(sources.isReady())),
    requests: new Counter({
      name: 'zerog_compute_requests_total',
      help: 'Requests by route and outcome: served, cancelled, or the code of the error',
      labelNames: ['route', 'outcome'],
      registers,
    }),
    units: new Counter({
      name: 'zerog_compute_units_total',
      help: 'Units billed, by kind: input, output',
      labelNames: ['kind'],
      registers,
    }),
    firstTokenSeconds: new Histogram({
      name: 'zerog_compute_first_token_seconds',
      help: 'Time from a request to its first token',
      buckets: [0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 15, 60],
      registers,
    }),
    restarts: new Counter({
      name: 'zerog_compute_worker_restarts_total',
      help: 'Model processes that ended by themselves',
      registers,
    }),
    settledWei: new Counter({
      name: 'zerog_compute_settled_wei_total',
      help: 'Fees settled, in wei (approximate)',
      registers,
    }),
    settlements: new Counter({
      name: 'zerog_compute_settlements_total',
      help: 'Settlements by status of the contract: 0 paid, 1 in part, 2 to 5 refused',
      labelNames: ['status'],
      registers,
    }),
  }
}
