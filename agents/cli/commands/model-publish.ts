import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Command } from 'commander'
import { registerModelCall, updateModelCall } from '../../../sdk/chain/model-calls.ts'
import { type ModelRecord, type ModelTerms, OPEN_TERMS, readModel } from '../../../sdk/chain/models.ts'
import { read } from '../../../sdk/chain/read.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import { listModelFolder } from '../../../sdk/client/model-folder-node.ts'
import { type PublishedFolder, publishModelFolder } from '../../../sdk/client/publish-model-node.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAmount, parseCount, parseNumber } from '../amount.ts'
import { type ComputeSession, withComputeSession } from '../compute-session.ts'
import { formatBytes, formatWei } from '../format.ts'
import { formatGate, type GateWish, parseGate, parseQuota, type QuotaWish } from '../model-gate-option.ts'
import { type Output, toJson } from '../output.ts'
import { publishBars } from '../publish-bars.ts'
import { requireWallet } from '../session.ts'
import { uploadStore } from './storage-upload.ts'

type PublishOptions = {
  id?: string
  kind?: string
  licence?: string
  inputFloor?: bigint
  outputFloor?: bigint
  gate?: GateWish
  free?: QuotaWish
  parity?: number
  term?: bigint
}

const HELP = `
Stores the files of FOLDER (hidden ones left out) and a manifest that lists them, then gives the manifest's root the name of --id. Repeat
the same command after any failure: what is stored is neither sent nor paid for again. For a name that is yours already it publishes
the next version; options that are left out keep what is registered. Without --id nothing is registered.

  zerog model publish ./digits --id me/digits --licence Apache-2.0
  zerog model publish ./digits --id me/digits --gate erc721:0x… --free 1000/7200`

/** `zerog model publish FOLDER`: a model into storage and, with a name, into the registry. */
export function publishModelCommand(): Command {
  return new Command('publish')
    .description("keep a model's folder on the network and register it under a name")
    .argument('<folder>', 'folder in the usual Hugging Face layout')
    .option('--id <id>', 'name, such as me/my-model: the first to register it has it')
    .option('--kind <kind>', 'text-generation, embedding, tensors, …; guessed from the files')
    .option('--licence <licence>', 'SPDX expression or URL; by default `license:` of the README.md')
    .option(
      '--input-floor <amount>',
      'least price of an input unit at which services may list it',
      parseAmount,
    )
    .option('--output-floor <amount>', 'the same for an output unit', parseAmount)
    .option(
      '--gate <gate>',
      'who may use it: none, erc20:TOKEN:MINIMUM, erc721:TOKEN, erc1155:TOKEN:ID:MINIMUM',
      parseGate,
    )
    .option('--free <units/blocks>', 'units that a holder has free in so many blocks', parseQuota)
    .option('--parity <count>', 'parity shards: how many may be lost', parseCount('--parity', 4, 64))
    .option('--term <periods>', 'term of storage in periods', parseNumber('--term'))
    .addHelpText('after', HELP)
    .action(
      withComputeSession((session, output, [folder]: [string], options: PublishOptions) =>
        publish(session, output, { folder, options }),
      ),
    )
}

async function publish(
  session: ComputeSession,
  output: Output,
  { folder, options }: { folder: string; options: PublishOptions },
): Promise<void> {
  const { chain, signal } = session
  const signer = requireWallet(session)
  const { id } = options
  // What the registry would refuse must not cost a term of storage first.
  const earlier = id === undefined ? undefined : await findOwn(session, id)
  const wish = await termsWish(folder, { options, earlier })
  if (id !== undefined)
    await checkTerms(session, { id, terms: { ...wish, manifestRoot: SOME_ROOT }, earlier })

  const bars = publishBars(output)
  const published = await publishModelFolder({
    ...{ chain, signer, folder, signal, stateStore: uploadStore(chain.chainId), onProgress: bars.update },
    ...(options.parity === undefined ? {} : { parityShards: options.parity }),
    ...(options.term === undefined ? {} : { termPeriods: options.term }),
  }).finally(bars.stop)
  const { manifestRoot } = published
  if (id === undefined) {
    showPublished(output, published, { lines: ['not registered: give it a name with --id'] })
    return
  }

  const terms = { ...wish, manifestRoot }
  const isSame = earlier !== undefined && sameTerms(earlier.terms, terms)
  const transaction = isSame ? undefined : await register(session, { id, terms, earlier })
  const record = await readModel(chain, id, { signal })
  showPublished(output, published, {
    value: { modelId: id, version: record?.version, owner: signer.address, terms, transaction },
    lines: [
      `model     ${id}, version ${record?.version}: ${terms.kind}, ${terms.licence}`,
      `gate      ${formatGate(terms.gate)}`,
      `registry  ${transaction ?? 'says all this already'}`,
    ],
  })
}

/** Any root will do to ask the registry whether it takes the rest. */
const SOME_ROOT = `0x${'01'.repeat(32)}`

/** The model of this name, if it is ours or free. Error: FORBIDDEN. */
async function findOwn(session: ComputeSession, id: string): Promise<ModelRecord | undefined> {
  const record = await readModel(session.chain, id, { signal: session.signal })
  if (record === undefined || record.owner === requireWallet(session).address) return record
  throw new ZerogError('FORBIDDEN', `${id} belongs to ${record.owner}: choose another name`)
}

async function termsWish(
  folder: string,
  { options, earlier }: { options: PublishOptions; earlier: ModelRecord | undefined },
): Promise<Omit<ModelTerms, 'manifestRoot'>> {
  const present = earlier?.terms
  const gate = options.gate ?? present?.gate ?? OPEN_TERMS.gate
  const quota = options.free ?? (options.gate === undefined ? present?.gate : undefined)
  const licence = options.licence ?? present?.licence ?? (await readLicence(folder))
  if (licence === undefined && options.id !== undefined)
    throw new ZerogError('BAD_REQUEST', 'under which licence? --licence, or license: in the README.md')
  if (options.free !== undefined && gate.kind === 'none')
    throw new ZerogError('BAD_REQUEST', '--free counts for the holders of a token: give a --gate too')
  return {
    ...OPEN_TERMS,
    ...(present && { verification: present.verification, commitment: present.commitment }),
    kind: options.kind ?? present?.kind ?? (await guessKind(folder)),
    licence: licence ?? '',
    inputFloorWei: options.inputFloor ?? present?.inputFloorWei ?? 0n,
    outputFloorWei: options.outputFloor ?? present?.outputFloorWei ?? 0n,
    gate: {
      ...OPEN_TERMS.gate,
      ...gate,
      freeUnits: quota?.freeUnits ?? 0n,
      quotaPeriodBlocks: quota?.quotaPeriodBlocks ?? 0n,
    },
  }
}

/** `license:` of a model card's front matter. */
async function readLicence(folder: string): Promise<string | undefined> {
  const card = await readFile(join(folder, 'README.md'), 'utf8').catch(() => '')
  return /^---\n[\s\S]*?^license: *(\S+) *$[\s\S]*?^---$/m.exec(card)?.[1]
}

async function guessKind(folder: string): Promise<string> {
  const names = new Set((await listModelFolder(folder)).map(({ path }) => path))
  if (!names.has('tokenizer.json')) return 'tensors'
  return names.has('generation_config.json') ? 'text-generation' : 'embedding'
}

type Registration = { id: string; terms: ModelTerms; earlier: ModelRecord | undefined }

function registryCall({ chain }: ComputeSession, { id, terms, earlier }: Registration) {
  const call = { modelId: id, terms }
  return earlier === undefined ? registerModelCall(chain, call) : updateModelCall(chain, call)
}

/** Asks the registry without sending. Errors: TX_REVERTED with what it minds. */
async function checkTerms(session: ComputeSession, registration: Registration): Promise<void> {
  const { to, data } = registryCall(session, registration)
  await read(session.chain.provider.call({ to, data, from: requireWallet(session).address }), {
    signal: session.signal,
  })
}

async function register(session: ComputeSession, registration: Registration): Promise<string> {
  const sender = await signerSender(session.chain, requireWallet(session))
  const call = registryCall(session, registration)
  const { hash } = await sendCall(sender, { ...call, label: 'model', signal: session.signal })
  return hash
}

function sameTerms(a: ModelTerms, b: ModelTerms): boolean {
  return toJson(sorted(a)) === toJson(sorted(b))
}

function sorted({ gate, ...rest }: ModelTerms) {
  return [Object.entries(rest).sort(), Object.entries(gate).sort()]
}

function showPublished(
  output: Output,
  published: PublishedFolder,
  { value = {}, lines }: { value?: Record<string, unknown>; lines: string[] },
): void {
  const { manifestRoot, files, bytes, feeWei } = published
  const fresh = files.filter(({ isNew }) => isNew).length
  output.result({ ...value, ...published }, [
    `manifest  ${manifestRoot}`,
    `stored    ${files.length} files, ${formatBytes(bytes)}; ${fresh} of them now, for ${formatWei(feeWei)}`,
    ...lines,
    `serve it  zerog agent init compute --model-root ${manifestRoot}`,
  ])
}
