import type { Tensor } from '../../../sdk/protocol/tensor.ts'

export type Tensors = Readonly<Record<string, Tensor>>

/** An input or output of a graph; a dimension that is free carries its symbolic name. */
export type TensorSpec = {
  readonly name: string
  readonly type: string
  readonly dims: readonly (number | string)[]
}

export type ExecutionProvider = 'cuda' | 'webgpu' | 'cpu'

/** How the next token is chosen. Temperature 0 takes the likeliest; `seed` is hashed with the token's number. */
export type Sampling = {
  readonly temperature: number
  readonly topP: number
  readonly seed: Uint8Array
}

export type GenerateJob = {
  readonly id: number
  /** Who asks: room in the batch is shared by users, not by requests. */
  readonly user: string
  readonly promptIds: readonly number[]
  readonly maxTokens: number
  readonly endIds: readonly number[]
  readonly sampling: Sampling
}

export type LoadOrder = {
  readonly kind: 'load'
  readonly onnxFile: string
  readonly executionProvider: ExecutionProvider
  /** Threads of one operator; 0 lets the runtime choose. */
  readonly threads: number
  /** Sequences generated at the same time. */
  readonly maxSequences: number
  /** Rows that raw runs are put together to. */
  readonly maxRows: number
}

/** What the agent tells its worker. */
export type Order =
  | LoadOrder
  | ({ readonly kind: 'generate' } & GenerateJob)
  | { readonly kind: 'run'; readonly id: number; readonly inputs: Tensors }
  | { readonly kind: 'cancel'; readonly id: number }

/** A token of one sequence. `end` says that none follows: the model ended (its end token is not text), or the limit came. */
export type TokenStep = { readonly id: number; readonly token: number; readonly end?: 'stop' | 'length' }

/** What a worker reports. */
export type Report =
  | {
      readonly kind: 'loaded'
      readonly inputs: TensorSpec[]
      readonly outputs: TensorSpec[]
      readonly loadMs: number
    }
  | { readonly kind: 'load-failed'; readonly message: string }
  | { readonly kind: 'tokens'; readonly steps: TokenStep[] }
  | { readonly kind: 'result'; readonly id: number; readonly outputs: Tensors }
  | { readonly kind: 'failed'; readonly id: number; readonly message: string }
