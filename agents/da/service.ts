import type { DaContext } from './context.ts'
import type { Dispersals } from './dispersals.ts'

/** A DA agent as its routes see it: its context, and the blobs that it has in hand. */
export type DaService = DaContext & { readonly dispersals: Dispersals }
