import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { NonceManager, type Wallet } from 'ethers'
import type { Chain } from '../../sdk/chain/connect.ts'
import { signerSender, type TxSender } from '../../sdk/chain/send.ts'
import { bytesSource } from '../../sdk/client/file-source.ts'
import { nodeTransport } from '../../sdk/client/http-node.ts'
import { uploadFile } from '../../sdk/client/upload.ts'
import { formatManifest, type ManifestFile } from '../../sdk/protocol/model-manifest.ts'

/** A model as it lies in storage. */
export type PublishedModel = {
  readonly id: string
  readonly manifestRoot: string
  readonly files: number
  readonly bytes: number
  /** Storage fees of all files and the manifest, without gas. */
  readonly feeWei: bigint
}

type Options = { chain: Chain; owner: Wallet; id: string; folder: string; signal: AbortSignal }

/** Stores every file of a model's folder at the same time, then the manifest that lists them. */
export async function publishModel({ chain, owner, id, folder, signal }: Options): Promise<PublishedModel> {
  const sender = await sharedSender(chain, owner)
  const store = (bytes: Uint8Array) =>
    uploadFile({ chain, source: bytesSource(bytes), sender, transport: nodeTransport, signal })
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const stored = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async (entry): Promise<{ file: ManifestFile; feeWei: bigint }> => {
        const target = join(entry.parentPath, entry.name)
        const bytes = await readFile(target)
        const { root, feeWei } = await store(bytes)
        const path = relative(folder, target).split(sep).join('/')
        const sha256 = createHash('sha256').update(bytes).digest('hex')
        return { file: { path, root, bytes: bytes.length, sha256 }, feeWei }
      }),
  )
  const files = stored.map(({ file }) => file)
  const manifest = await store(new TextEncoder().encode(formatManifest(files)))
  return {
    id,
    manifestRoot: manifest.root,
    files: files.length,
    bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    feeWei: stored.reduce((sum, { feeWei }) => sum + feeWei, manifest.feeWei),
  }
}

/** A sender that several uploads may use at once: it hands out its nonces itself, so it names none in advance. */
async function sharedSender(chain: Chain, owner: Wallet): Promise<TxSender> {
  const { nextNonce: _, ...sender } = await signerSender(chain, new NonceManager(owner))
  return sender
}
