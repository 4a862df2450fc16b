import { setFlagsFromString } from 'node:v8'

/**
 * Has V8 mark the whole heap seldom; to be called once, at the start of a process.
 *
 * The body of a request arrives in buffers outside of the heap, and by V8's defaults every few dozen mebibytes of them set
 * off a marking of everything an agent has loaded: as much work as hashing those bytes. Here buffers count with the heap,
 * which may grow to three times what was in use after the last marking. Both only tune; a V8 that does not know a
 * flag says so on stderr and goes on.
 */
export function growHeapFreely(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit')
  setFlagsFromString('--heap-growing-percent=200')
}
