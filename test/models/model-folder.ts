import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { InferenceSession } from 'onnxruntime-node'
import { ROOT } from '../support/repository.ts'

export const PRECISIONS = ['model', 'model_quantized'] as const
export type Precision = (typeof PRECISIONS)[number]

/** A JSON file of a model that ships with the repository; the caller names its shape. */
export function readModelJson<T>(model: string, file: string): T {
  return JSON.parse(readFileSync(join(ROOT, 'models', model, file), 'utf8')) as T
}

/** A session on one thread, so that a figure does not depend on the number of cores. */
export function openModel(model: string, precision: Precision): Promise<InferenceSession> {
  const path = join(ROOT, 'models', model, 'onnx', `${precision}.onnx`)
  return InferenceSession.create(path, { intraOpNumThreads: 1, executionProviders: ['cpu'] })
}

/** The float values of one output. */
export function floats(outputs: InferenceSession.ReturnType, name: string): Float32Array {
  const data = outputs[name]?.data
  if (!(data instanceof Float32Array)) throw new Error(`output ${name} is missing or not float32`)
  return data
}

/** The index of the largest of `count` values from `start` on; the first of equals. */
export function argmax(values: Float32Array, start: number, count: number): number {
  let best = start
  for (let i = start + 1; i < start + count; i++) if ((values[i] ?? 0) > (values[best] ?? 0)) best = i
  return best - start
}
