import { readSource } from './repository.ts'

/** A committed vector file. The caller names the shape that scripts/vectors.ts gave it. */
export function readVectors<T>(name: string): T {
  return JSON.parse(readSource(`test/vectors/${name}.json`)) as T
}
