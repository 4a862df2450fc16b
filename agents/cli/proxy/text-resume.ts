import { ZerogError } from '../../../sdk/protocol/errors.ts'

/**
 * Joins the text of an answer that began anew to what a reader has already: text that comes again is left out, and text that
 * differs is an error, since nobody can unsay.
 */
export type TextResume = {
  /** A provider broke off: the next text is held against all so far. */
  restart(): void
  /** The part of `text` that is new. Throws INFERENCE_CUT when it is not what was said before. */
  take(text: string): string
  /** Throws INFERENCE_CUT when the new answer ends before what was said. */
  end(): void
}

export function createTextResume(): TextResume {
  let said = ''
  let again = ''
  let isAgain = false
  const differs = () =>
    new ZerogError('INFERENCE_CUT', 'a provider broke off in the middle, and the next one writes otherwise')
  return {
    restart() {
      again = ''
      isAgain = said !== ''
    },
    take(text) {
      if (!isAgain) {
        said += text
        return text
      }
      again += text
      if (said.startsWith(again)) {
        isAgain = again.length < said.length
        return ''
      }
      if (!again.startsWith(said)) throw differs()
      const fresh = again.slice(said.length)
      isAgain = false
      said = again
      return fresh
    },
    end() {
      if (isAgain) throw differs()
    },
  }
}
