import type { KzgEngine } from '../protocol/kzg-engine.ts'

let loading: Promise<KzgEngine> | undefined

/** The engine for pages, loaded when it is first asked for: reading needs it, sampling does not. Errors: those of a failed import. */
export function loadBrowserKzg(): Promise<KzgEngine> {
  loading ??= import('./kzg-browser.ts').then(({ createBrowserKzg }) => createBrowserKzg())
  return loading
}
