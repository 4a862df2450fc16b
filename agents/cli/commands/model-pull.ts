import { Command } from 'commander'
import type { ComputeChain } from '../../../sdk/chain/compute-chain.ts'
import { readModel, readModelVersion } from '../../../sdk/chain/models.ts'
import { pullModelFolder } from '../../../sdk/client/model-folder-node.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatBytes } from '../format.ts'
import type { Output } from '../output.ts'

const HELP = `
MODEL is an id such as zerog/digits, an earlier version of it such as zerog/digits@1, or the root of a manifest. Every file has the
length and the SHA-256 of the manifest. Repeat the command after any failure: it goes on with what is missing.`

type PullOptions = { force?: boolean }

/** `zerog model pull MODEL [FOLDER]`: a model's folder out of storage, verified. */
export function pullModelCommand(): Command {
  return new Command('pull')
    .description('bring a model back from storage; every file is checked against its manifest')
    .argument('<model>', 'id, id@version, or root of a manifest')
    .argument('[folder]', 'where to put it; by default the last part of the id')
    .option('--force', 'overwrite files that differ')
    .addHelpText('after', HELP)
    .action(
      withComputeSession((session, output, [model, folder]: [string, string?], options: PullOptions) =>
        pull(session, output, { model, folder, options }),
      ),
    )
}

async function pull(
  { chain, signal }: ComputeSession,
  output: Output,
  { model, folder, options }: { model: string; folder: string | undefined; options: PullOptions },
): Promise<void> {
  const { root, name } = await findRoot(chain, model, signal)
  const target = folder ?? name
  const bar = output.bar('reading ', 'MB')
  const files = await pullModelFolder({
    ...{ chain, root, folder: target, overwrite: options.force === true, signal },
    onProgress: ({ doneBytes, totalBytes }) => bar.update(doneBytes, totalBytes),
  }).finally(bar.stop)
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  const fetched = files.filter(({ isFetched }) => isFetched).length
  output.result({ manifestRoot: root, folder: target, bytes, files }, [
    `${target}: ${files.length} files, ${formatBytes(bytes)}, verified against ${root}`,
    ...(fetched === files.length ? [] : [`${files.length - fetched} of them were there already`]),
  ])
}

/** The manifest root that MODEL names, and a folder's name for it. Errors: NOT_FOUND, BAD_REQUEST. */
async function findRoot(
  chain: ComputeChain,
  model: string,
  signal: AbortSignal,
): Promise<{ root: string; name: string }> {
  if (/^0x[0-9a-fA-F]{64}$/.test(model))
    return { root: model.toLowerCase(), name: `model-${model.slice(2, 10)}` }
  const [, modelId = '', version] = /^([^@]+)(?:@(\d+))?$/.exec(model) ?? []
  if (modelId === '')
    throw new ZerogError('BAD_REQUEST', `"${model}" is neither the id of a model nor the root of a manifest`)
  const record = await readModel(chain, modelId, { signal })
  if (record === undefined)
    throw new ZerogError('NOT_FOUND', `nobody has registered ${modelId}: see zerog model list`)
  // An id may end in dots: its files stay below this folder all the same.
  const last = modelId.split('/').at(-1) ?? ''
  const name = /^[A-Za-z0-9]/.test(last) ? last : `model-${record.terms.manifestRoot.slice(2, 10)}`
  if (version === undefined) return { root: record.terms.manifestRoot, name }
  const wanted = BigInt(version)
  if (wanted === 0n || wanted > record.version)
    throw new ZerogError('NOT_FOUND', `${modelId} has the versions 1 to ${record.version}`)
  const { manifestRoot } = await readModelVersion(chain, { modelId, version: wanted }, { signal })
  return { root: manifestRoot, name }
}
