import {
  readComputeBacking,
  readEarnings,
  readPendingService,
  readService,
  type ServiceView,
} from '../../sdk/chain/compute.ts'
import { COMPUTE_SERVICE, type ComputeChain } from '../../sdk/chain/compute-chain.ts'
import { type ModelRecord, readModel } from '../../sdk/chain/models.ts'
import { readOperator } from '../../sdk/chain/operators.ts'
import { balanceFinding } from './examine-operator.ts'
import { type Finding, fail, ok, warn } from './finding.ts'
import { formatWei, formatWeiUp } from './format.ts'
import type { Session } from './session.ts'

type Known = Pick<Session, 'config'>

/** Registration, balance, stake, listing, signer and earnings of a compute provider, as the chain has them. */
export async function examineComputeOperator(
  { config }: Known,
  chain: ComputeChain,
  operator: string,
): Promise<{ findings: Finding[]; endpoint: string }> {
  const [known, balance, backingWei, service, pending, earningsWei, registered] = await Promise.all([
    readOperator(chain, operator, { service: COMPUTE_SERVICE }),
    balanceFinding(chain, operator),
    readComputeBacking(chain, operator),
    readService(chain, operator),
    readPendingService(chain, operator),
    readEarnings(chain, operator),
    config.MODEL_ID === undefined ? undefined : readModel(chain, config.MODEL_ID),
  ])
  const { minProviderStakeWei } = chain.computeTerms
  return {
    // Clients go where the service is listed.
    endpoint: service?.url ?? known.endpoint,
    findings: [
      known.registered
        ? ok('operator', operator)
        : fail('operator', `${operator} is not registered`, 'run `zerog agent init compute`'),
      balance,
      stakeFinding(backingWei, minProviderStakeWei),
      ...(service === undefined
        ? [notListed(backingWei >= minProviderStakeWei)]
        : listingFindings({ config }, operator, { service, pending })),
      ...(registered === undefined ? [] : [registryFinding({ config }, registered)]),
      ok('earnings', `${formatWei(earningsWei)} to withdraw; a running agent does it`),
    ],
  }
}

function stakeFinding(backingWei: bigint, minStakeWei: bigint): Finding {
  const found = `${formatWei(backingWei)} behind its service, which needs ${formatWei(minStakeWei)}`
  if (backingWei >= minStakeWei) return ok('stake', found)
  const lacking = formatWeiUp(minStakeWei - backingWei).split(' ')[0]
  return fail('stake', found, `top it up: \`zerog stake deposit ${lacking} --allocate --service compute\``)
}

/** Whether the name is served as its owner in the registry means it. */
function registryFinding({ config }: Known, { modelId, owner, terms }: ModelRecord): Finding {
  const { MODEL_ROOT, MODEL_OWNER } = config
  if (MODEL_ROOT !== undefined && MODEL_ROOT !== terms.manifestRoot)
    return warn(
      'registry',
      `${modelId} has the root ${terms.manifestRoot}`,
      'set MODEL_ROOT to it and start again, or serve yours under another name',
    )
  if (MODEL_OWNER?.toLowerCase() !== owner.toLowerCase())
    return warn(
      'registry',
      `${modelId} belongs to ${owner}`,
      'if that is who made it, set MODEL_OWNER to it: then its gate is kept',
    )
  return ok('registry', `${modelId} as ${owner} means it`)
}

function notListed(isStaked: boolean): Finding {
  return fail(
    'service',
    'not listed: clients cannot find it',
    isStaked
      ? 'a running agent lists it as soon as its model is loaded; look for list-service in its log'
      : 'add the stake first; a running agent lists it then',
  )
}

function listingFindings(
  { config }: Known,
  operator: string,
  { service, pending }: { service: ServiceView; pending: (ServiceView & { fromSec: bigint }) | undefined },
): Finding[] {
  const { model, serviceType, inputPriceWei, outputPriceWei, url, signer, isAcknowledged } = service
  const listed = `${model} (${serviceType}), ${formatWei(inputPriceWei)} in, ${formatWei(outputPriceWei)} out a unit`
  return [
    isAsWished({ config }, service) || (pending !== undefined && isAsWished({ config }, pending))
      ? ok('service', listed)
      : warn('service', `${listed}: not what .env says`, 'restart the agent: it announces the change'),
    ...(pending === undefined ? [] : [changeFinding(pending)]),
    endpointOf(url, config.PUBLIC_URL),
    signer === operator
      ? ok('signer', 'the operator')
      : warn('signer', `${signer}, not the operator`, 'is that your key? A running agent lists itself again'),
    ...(isAcknowledged
      ? []
      : [
          fail(
            'signer',
            'not acknowledged: it settles nothing',
            'its stake is short, or the owner of the contract has revoked it: mend the stake, or ask',
          ),
        ]),
  ]
}

/** Whether model and prices are those of the settings; who has none (another's operator) wishes nothing. */
function isAsWished({ config }: Known, { model, inputPriceWei, outputPriceWei }: ServiceView): boolean {
  const { MODEL_ID, INPUT_PRICE_WEI, OUTPUT_PRICE_WEI } = config
  if (MODEL_ID === undefined) return true
  return MODEL_ID === model && INPUT_PRICE_WEI === inputPriceWei && OUTPUT_PRICE_WEI === outputPriceWei
}

function changeFinding({ model, inputPriceWei, outputPriceWei, fromSec }: ServiceView & { fromSec: bigint }) {
  const from = new Date(Number(fromSec) * 1000).toISOString()
  return ok(
    'change',
    `${model}, ${formatWei(inputPriceWei)} in, ${formatWei(outputPriceWei)} out from ${from}`,
  )
}

function endpointOf(url: string, configured: string | undefined): Finding {
  if (configured === undefined || configured === url.replace(/\/+$/, '')) return ok('endpoint', url)
  return fail(
    'endpoint',
    `clients are sent to ${url}, PUBLIC_URL is ${configured}`,
    'correct PUBLIC_URL, or restart the agent: it lists its service under the new one',
  )
}
