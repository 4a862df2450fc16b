/** A small durable map that lets an upload survive a crash or a closed tab. Keys hold [a-z0-9-] only. */
export type StateStore = {
  get(key: string): Promise<string | undefined>
  /** Durable when it resolves. */
  set(key: string, value: string): Promise<void>
  delete(key: string): Promise<void>
}

/** A store that forgets when the process ends. */
export function memoryStateStore(): StateStore {
  const entries = new Map<string, string>()
  return {
    get: async (key) => entries.get(key),
    set: async (key, value) => {
      entries.set(key, value)
    },
    delete: async (key) => {
      entries.delete(key)
    },
  }
}

/** A store over a browser's `localStorage`. */
export function webStateStore(storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem'>): StateStore {
  const name = (key: string) => `zerog-${key}`
  return {
    get: async (key) => storage.getItem(name(key)) ?? undefined,
    set: async (key, value) => storage.setItem(name(key), value),
    delete: async (key) => storage.removeItem(name(key)),
  }
}
