/**
 * Makes a read that many may ask for, such as one behind a public route, cost little: who asks while it is under way, or
 * within `ttlMs` after it, gets the same answer. When it fails, or takes longer than `patienceMs`, the answer is
 * `otherwise`. Never rejects.
 */
export function shareRead<T>(
  read: () => Promise<T>,
  { otherwise, ttlMs = 1000, patienceMs = 3000 }: { otherwise: T; ttlMs?: number; patienceMs?: number },
): () => Promise<T> {
  let known: { answer: T; until: number } | undefined
  let pending: Promise<T> | undefined

  const start = async (): Promise<T> => {
    const answer = await read().catch(() => otherwise)
    known = { answer, until: performance.now() + ttlMs }
    pending = undefined
    return answer
  }

  return async () => {
    if (known && performance.now() < known.until) return known.answer
    pending ??= start()
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<T>((done) => {
      timer = setTimeout(done, patienceMs, otherwise)
    })
    try {
      return await Promise.race([pending, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
