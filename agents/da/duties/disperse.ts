import { errorCode } from '../../../sdk/protocol/errors.ts'
import type { Duty } from '../../kernel/duty.ts'
import type { DaService } from '../service.ts'

type Open = { blobId: string; payloadBytes: number }

/** Goes on with blobs that a killed process left open, or whose publisher has paid by now. */
export const disperse: Duty<Open, DaService> = {
  name: 'disperse',
  local: true,

  async due({ journal, dispersals }) {
    return journal
      .open()
      .filter(({ blobId }) => !dispersals.isRunning(blobId))
      .map(({ blobId, header }) => ({ blobId, payloadBytes: header.payloadBytes }))
  },

  id: ({ blobId }) => `disperse-${blobId}`,

  async perform({ blobId, payloadBytes }, { dispersals }) {
    let release: () => void
    try {
      release = dispersals.reserve(payloadBytes)
    } catch (error) {
      // Its turn comes when others are done.
      if (errorCode(error) === 'DA_BUSY') return
      throw error
    }
    // Not waited for: other duties of this node need the place among its jobs more.
    void dispersals.run(blobId, { release })
  },
}
