import type { Log } from './log.ts'

/** The list of what has been started, undone last first. */
export function createShutdown(log: Log, stepTimeoutMs: number) {
  const steps: { name: string; undo: () => unknown; timeoutMs: number }[] = []
  let running: Promise<void> | undefined

  const undoAll = async (): Promise<void> => {
    for (const { name, undo, timeoutMs } of steps.reverse()) {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((done) => {
        timer = setTimeout(done, timeoutMs, 'late')
      })
      try {
        // One part that hangs or throws must not keep the others from being closed.
        const end = await Promise.race([Promise.resolve().then(undo), late])
        if (end === 'late') log.warn({ part: name }, 'part did not stop in time')
      } catch (error) {
        log.warn({ part: name, err: error }, 'part did not stop cleanly')
      } finally {
        clearTimeout(timer)
      }
    }
  }

  return {
    add: (name: string, undo: () => unknown, timeoutMs = stepTimeoutMs): void => {
      steps.push({ name, undo, timeoutMs })
    },
    started: () => running !== undefined,
    run: (): Promise<void> => {
      running ??= undoAll()
      return running
    },
  }
}
