/** Takes server-sent events out of bytes as they come. */
export type EventReader = {
  /** The data of all events that are whole now. */
  push(bytes: Uint8Array): string[]
}

/** A reader of the `data` of server-sent events (WHATWG HTML, 9.2); names and ids of events are passed over. */
export function createEventReader(): EventReader {
  const decoder = new TextDecoder()
  let rest = ''
  let data: string[] = []
  return {
    push(bytes) {
      rest += decoder.decode(bytes, { stream: true })
      const events: string[] = []
      for (;;) {
        const end = /\r\n|\n|\r(?=[^\n])/.exec(rest)
        if (end === null) return events
        const line = rest.slice(0, end.index)
        rest = rest.slice(end.index + end[0].length)
        if (line === '') {
          if (data.length > 0) events.push(data.join('\n'))
          data = []
        } else if (line.startsWith('data:')) data.push(line.slice(line[5] === ' ' ? 6 : 5))
      }
    },
  }
}
