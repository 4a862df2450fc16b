import { Command } from 'commander'
import { readService } from '../../../sdk/chain/compute.ts'
import { COMPUTE_SERVICE } from '../../../sdk/chain/compute-chain.ts'
import { STORAGE_SERVICE } from '../../../sdk/chain/connect.ts'
import { connectDa, DA_SERVICE } from '../../../sdk/chain/da-chain.ts'
import { readOperator } from '../../../sdk/chain/operators.ts'
import type { ErrorCode } from '../../../sdk/protocol/errors.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseUrl } from '../amount.ts'
import { findCompute } from '../compute-session.ts'
import { loadCliConfig } from '../config.ts'
import { examineAgent, examineDisk } from '../examine-agent.ts'
import { examineComputeOperator } from '../examine-compute-operator.ts'
import { examineDaOperator } from '../examine-da-operator.ts'
import { examineChain, examineOperator } from '../examine-operator.ts'
import { type Finding, fail, findingLines } from '../finding.ts'
import { createOutput, knownError, type Output } from '../output.ts'
import { type GlobalOptions, openSession, type Session } from '../session.ts'

type DoctorOptions = { url?: string; operator?: string }

const HELP = `
Run it in the folder of the agent's .env. It reads only and sends nothing. Exit code 0 when all is well (warnings
included), 1 when something fails. With --operator any operator can be examined from anywhere, as clients see it.`

/** `zerog doctor`: finds what is wrong with an agent and says how to mend it. Exit code 1 when something fails. */
export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'examine a storage, DA or compute agent: chain, key, stake, reachability, disk, model; says how to mend what is wrong',
    )
    .option('--url <url>', "URL of the agent; PUBLIC_URL or the registry's by default", parseUrl('--url'))
    .option('--operator <address>', "operator; your key's by default", parseAddress)
    .addHelpText('after', HELP)
    .action(async (_options: DoctorOptions, command: Command) => {
      const options = command.optsWithGlobals() as GlobalOptions & DoctorOptions
      const output = createOutput({ json: options.json === true })
      const findings = await examine(options, output)
      const failed = findings.filter(({ state }) => state === 'fail').length
      output.result({ healthy: failed === 0, findings }, [
        ...findings.flatMap(findingLines),
        failed === 0 ? 'healthy' : `${failed} to mend`,
      ])
      process.exitCode = failed === 0 ? 0 : 1
    })
}

async function examine(options: GlobalOptions & DoctorOptions, output: Output): Promise<Finding[]> {
  let opened: Awaited<ReturnType<typeof openSession>>
  try {
    opened = await openSession(options, output)
  } catch (error) {
    return [connectionFinding(error), ...(await examineWithoutChain(options))]
  }
  const { session, close } = opened
  try {
    return await examineSession(session, options)
  } finally {
    close()
  }
}

async function examineSession(session: Session, options: DoctorOptions): Promise<Finding[]> {
  const { config, usesDevnet, wallet } = session
  if (usesDevnet && options.operator === undefined && config.KEYSTORE_FILE === undefined) {
    throw new ZerogError(
      'BAD_REQUEST',
      'which agent? Give --operator ADDRESS (`zerog status` lists them), or run it in the folder of an .env',
    )
  }
  const operator = options.operator ?? wallet?.address
  const chain = await examineChain(session).catch(readFinding)
  if (operator === undefined) return [...chain, keyMissing, ...(await examineWithoutChain(options))]
  const isOwn = operator === wallet?.address
  const known = isOwn
    ? session
    : { ...session, config: { ...config, PUBLIC_URL: undefined, MODEL_ID: undefined } }
  const { findings, endpoint } = await examineAnyOperator(known, operator).catch((error) => ({
    findings: readFinding(error),
    endpoint: '',
  }))
  const url = options.url ?? known.config.PUBLIC_URL ?? endpoint
  return [
    ...chain,
    ...findings,
    ...(await examineAgent(url, operator)),
    ...(isOwn ? [await examineDisk(config.DATA_DIR ?? 'data')] : []),
  ]
}

/**
 * As what it serves under the configured URL; where that tells nothing, as the storage provider, DA operator or compute
 * provider that it is, in this order.
 */
async function examineAnyOperator(session: Session, operator: string) {
  const { chain, config, signal } = session
  const url = config.PUBLIC_URL
  const compute = await findCompute(chain, signal)
  const listing = compute && (await readService(compute, operator))
  const served = await Promise.all(
    [STORAGE_SERVICE, DA_SERVICE, COMPUTE_SERVICE].map(async (service) => {
      const { endpoint } = await readOperator(chain, operator, { service })
      const known = endpoint === '' && service === COMPUTE_SERVICE ? (listing?.url ?? '') : endpoint
      return { service, endpoint: known.replace(/\/+$/, '') }
    }),
  )
  const isCompute = served.every(({ endpoint }) => endpoint === '') && config.MODEL_ID !== undefined
  const found =
    served.find(({ endpoint }) => endpoint !== '' && endpoint === url) ??
    served.find(({ endpoint }) => endpoint !== '')
  if (compute && (isCompute || found?.service === COMPUTE_SERVICE))
    return examineComputeOperator(session, compute, operator)
  if (found?.service === DA_SERVICE)
    return examineDaOperator(session, await connectDa(chain, { signal }), operator)
  return examineOperator(session, operator)
}

/** The agent and its disk can be looked at without the chain. */
async function examineWithoutChain(options: GlobalOptions & DoctorOptions): Promise<Finding[]> {
  try {
    const config = loadCliConfig(options)
    const url = options.url ?? config.PUBLIC_URL
    return [
      ...(url === undefined ? [] : await examineAgent(url, options.operator)),
      ...(config.DATA_DIR === undefined ? [] : [await examineDisk(config.DATA_DIR)]),
    ]
  } catch {
    // The settings themselves are broken, and that has been found already.
    return []
  }
}

const keyMissing = fail(
  'key',
  'no key is configured',
  'set KEYSTORE_FILE and KEYSTORE_PASSWORD_FILE, run `zerog agent init`, or give --operator ADDRESS',
)

const CONNECTION_MENDS: Partial<Record<ErrorCode, { check: string; mend: string }>> = {
  RPC_UNREACHABLE: { check: 'rpc', mend: 'check RPC_URL, the node behind it and the way there' },
  TIMEOUT: { check: 'rpc', mend: 'the node is too slow: check it, or use another RPC_URL' },
  WRONG_CHAIN: { check: 'chain', mend: 'RPC_URL, CHAIN_ID and ADDRESS_BOOK must be of the same chain' },
  ADDRESS_BOOK_INVALID: { check: 'contracts', mend: 'set ADDRESS_BOOK to the deployment of this chain' },
  KEYSTORE_INVALID: { check: 'key', mend: 'check KEYSTORE_FILE and KEYSTORE_PASSWORD_FILE' },
  CONFIG_INVALID: {
    check: 'settings',
    mend: 'correct the environment or .env; .env.example lists every variable',
  },
}

function connectionFinding(error: unknown): Finding {
  const { code, message } = knownError(error)
  const known = CONNECTION_MENDS[code]
  if (known === undefined) throw error
  return fail(known.check, `${code}: ${message}`, known.mend)
}

/** A chain that went away in the middle of the examination is a finding as well. */
function readFinding(error: unknown): Finding[] {
  return [connectionFinding(error)]
}
