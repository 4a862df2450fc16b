import type { PublishModelProgress } from '../../sdk/client/publish-model-node.ts'
import { formatBytes } from './format.ts'
import type { Output } from './output.ts'

/** A line for each file of a model that is stored, and a bar for what takes long of it. */
export function publishBars(output: Output): {
  update: (progress: PublishModelProgress) => void
  stop: () => void
} {
  const bars = { prepare: output.bar('hashing ', 'MB'), send: output.bar('sending ', 'MB') }
  const stop = () => {
    bars.prepare.stop()
    bars.send.stop()
  }
  return {
    stop,
    update(event) {
      if (event.stage === 'file') output.note(`${event.path}, ${formatBytes(event.bytes)}`)
      if (event.stage === 'upload') {
        const { progress } = event
        if (progress.stage === 'prepare' || progress.stage === 'send') {
          const { doneBytes, totalBytes } = progress
          bars[progress.stage].update(doneBytes, totalBytes)
          if (doneBytes === totalBytes) bars[progress.stage].stop()
        }
        if (progress.stage === 'replaced')
          output.note(`  a provider dropped out (${progress.code}): its shards go to another`)
      }
      if (event.stage === 'stored') {
        stop()
        output.note(`  ${event.stored.isNew ? 'stored' : 'was stored already'} as ${event.stored.root}`)
      }
    },
  }
}
