import { ZerogError } from '../../sdk/protocol/errors.ts'

/** A quantity that is lent out in the order of asking: bytes in memory, or places. */
export type Budget = {
  /** Waits until `amount` is free, then holds it until `release` is called. Errors: ABORTED; RANGE_INVALID when it is more than there is. */
  take(amount: number, signal: AbortSignal): Promise<Lease>
  readonly free: () => number
}

export type Lease = { release(): void }

type Waiter = { amount: number; grant: () => void }

/** Creates a budget of `total`. Whoever asks for much is not overtaken by those who ask for little. */
export function createBudget(total: number): Budget {
  const waiting: Waiter[] = []
  let free = total

  function grantNext(): void {
    for (let next = waiting[0]; next !== undefined && next.amount <= free; next = waiting[0]) {
      waiting.shift()
      next.grant()
    }
  }

  function hold(amount: number): Lease {
    free -= amount
    let held = true
    return {
      release() {
        if (!held) return
        held = false
        free += amount
        grantNext()
      },
    }
  }

  return {
    free: () => free,
    async take(amount, signal) {
      if (amount > total)
        throw new ZerogError('RANGE_INVALID', `${amount} is more than all there is, ${total}`)
      if (signal.aborted) throw new ZerogError('ABORTED')
      if (waiting.length === 0 && amount <= free) return hold(amount)
      const { promise, resolve, reject } = Promise.withResolvers<Lease>()
      const waiter: Waiter = { amount, grant: () => resolve(hold(amount)) }
      waiting.push(waiter)
      const onAbort = (): void => {
        const at = waiting.indexOf(waiter)
        if (at < 0) return
        waiting.splice(at, 1)
        reject(new ZerogError('ABORTED'))
        grantNext()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        return await promise
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
    },
  }
}
