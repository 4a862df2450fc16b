import { ZerogError } from '../protocol/errors.ts'

/** Takes server-sent events out of bytes as they come. */
export type EventReader = {
  /** The data of all events that are whole now. Throws PEER_MISBEHAVED for an event of more than a million characters. */
  push(bytes: Uint8Array): string[]
}

/** What does not end is not looked through again and again. */
const MAX_EVENT_CHARS = 1 << 20

/** A reader of the `data` of server-sent events (WHATWG HTML, 9.2); names and ids of events are passed over. */
export function createEventReader(): EventReader {
  const decoder = new TextDecoder()
  let rest = ''
  let data: string[] = []
  let dataChars = 0
  const check = () => {
    if (rest.length + dataChars > MAX_EVENT_CHARS)
      throw new ZerogError('PEER_MISBEHAVED', `an event of the stream is over ${MAX_EVENT_CHARS} characters`)
  }
  return {
    push(bytes) {
      rest += decoder.decode(bytes, { stream: true })
      const events: string[] = []
      for (;;) {
        const end = /\r\n|\n|\r(?=[^\n])/.exec(rest)
        if (end === null) {
          check()
          return events
        }
        const line = rest.slice(0, end.index)
        rest = rest.slice(end.index + end[0].length)
        if (line === '') {
          if (data.length > 0) events.push(data.join('\n'))
          data = []
          dataChars = 0
        } else if (line.startsWith('data:')) {
          data.push(line.slice(line[5] === ' ' ? 6 : 5))
          dataChars += line.length
        }
      }
    },
  }
}
