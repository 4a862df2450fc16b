import { Command } from 'commander'
import { formatEther } from 'ethers'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
import { read } from '../../../sdk/chain/read.ts'
import { sendCall, signerSender } from '../../../sdk/chain/send.ts'
import {
  allocateCall,
  completeDeallocationCall,
  delegateCall,
  readAllocation,
  readPool,
  readShares,
  readStakingClaimable,
  releaseCall,
  requestDeallocationCall,
  requestExitCall,
  type StakePool,
  stakeCall,
  withdrawStakeCall,
} from '../../../sdk/chain/staking.ts'
import { readProviderStream } from '../../../sdk/chain/storage.ts'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { parseAddress, parseAmount, parseNumber } from '../amount.ts'
import { newestExits } from '../exits.ts'
import { formatWei } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet, type Session, withSession } from '../session.ts'
import { parseService, placeOfService, SERVICE_CHOICE, type StakeService } from '../stake-service.ts'

type ServiceOption = { service: StakeService }

const HELP = `
To begin:   zerog stake deposit 100 --allocate; for data availability with --service da and --service disperser,
            for compute with --service compute
To leave:   zerog stake deallocate 100; after the delay: zerog stake complete, zerog stake exit; after its delay:
            zerog stake release EXIT, zerog stake withdraw. Stake that custody needs stays until the custody ends.`

/** `zerog stake …`: own stake, delegation, allocations and exits. */
export function stakeCommand(): Command {
  const stake = new Command('stake')
    .description('stake, delegate, allocate to services, leave')
    .addHelpText('after', HELP)
  stake
    .command('status')
    .description('pools, allocation to a service and what is withdrawable')
    .argument('[operator]', 'operator; your own by default', parseAddress)
    .option('--service <service>', SERVICE_CHOICE, parseService, 'storage')
    .action(withSession(showStake))
  stake
    .command('deposit')
    .description('add coins to your own pool, or to your delegated one for --service da')
    .argument('<amount>', 'coins, such as 12.5', parseAmount)
    .option('--allocate', 'put it behind the service at once')
    .option('--service <service>', SERVICE_CHOICE, parseService, 'storage')
    .action(withSession(deposit))
  stake
    .command('delegate')
    .description("add coins to an operator's delegated pool")
    .argument('<operator>', 'operator', parseAddress)
    .argument('<amount>', 'coins', parseAmount)
    .action(
      withSession((session, output, [operator, amountWei]: [string, bigint]) =>
        sendStake(session, output, 'delegated', delegateCall(session.chain, { operator, amountWei })),
      ),
    )
  stake
    .command('allocate')
    .description('put free stake behind a service')
    .argument('<amount>', 'coins', parseAmount)
    .option('--service <service>', SERVICE_CHOICE, parseService, 'storage')
    .action(
      withSession(async (session, output, [amountWei]: [bigint], options: ServiceOption) => {
        const { service } = await placeOfService(session.chain, options.service)
        await sendStake(session, output, 'allocated', allocateCall(session.chain, { amountWei, service }))
      }),
    )
  stake
    .command('deallocate')
    .description('ask an allocation back from a service; it stays slashable until it is completed')
    .argument('<amount>', 'coins', parseAmount)
    .option('--service <service>', SERVICE_CHOICE, parseService, 'storage')
    .action(
      withSession(async (session, output, [amountWei]: [bigint], options: ServiceOption) => {
        const { service } = await placeOfService(session.chain, options.service)
        const call = requestDeallocationCall(session.chain, { amountWei, service })
        await sendStake(session, output, 'deallocation requested', call)
      }),
    )
  stake
    .command('complete')
    .description('complete a de-allocation whose delay is over')
    .option('--service <service>', SERVICE_CHOICE, parseService, 'storage')
    .action(
      withSession(async (session, output, _args: [], options: ServiceOption) => {
        const operator = requireWallet(session).address
        const { service } = await placeOfService(session.chain, options.service)
        const call = completeDeallocationCall(session.chain, { operator, service })
        await sendStake(session, output, 'deallocated', call)
      }),
    )
  stake
    .command('exit')
    .description('ask stake back; what its shares are worth when they are released is paid')
    .argument('[operator]', 'operator whose pool it is; your own by default', parseAddress)
    .option('--pool <pool>', 'self or delegated', 'self')
    .option('--amount <amount>', 'coins to ask back; all by default', parseAmount)
    .action(withSession(requestExit))
  stake
    .command('release')
    .description('release an exit whose delay is over')
    .argument('<exitId>', 'number of the exit; `zerog stake status` lists them', parseNumber('exitId'))
    .action(
      withSession((session, output, [exitId]: [bigint]) =>
        sendStake(session, output, 'released', releaseCall(session.chain, exitId)),
      ),
    )
  stake
    .command('withdraw')
    .description('send what is withdrawable from staking')
    .option('--to <address>', 'receiver; yourself by default', parseAddress)
    .action(
      withSession((session, output, _args: [], options: { to?: string }) => {
        const to = options.to ?? requireWallet(session).address
        return sendStake(session, output, 'withdrawn', withdrawStakeCall(session.chain, to))
      }),
    )
  return stake
}

async function showStake(
  session: Session,
  output: Output,
  [given]: [string?],
  options: ServiceOption,
): Promise<void> {
  const { chain } = session
  const { service } = await placeOfService(chain, options.service)
  const operator = given ?? requireWallet(session).address
  const [self, delegated, allocation, withdrawableWei, stream, exits, head] = await Promise.all([
    readPool(chain, { operator, pool: 'self' }),
    readPool(chain, { operator, pool: 'delegated' }),
    readAllocation(chain, { operator, service }),
    readStakingClaimable(chain, operator),
    readProviderStream(chain, operator),
    newestExits(chain, operator),
    read(chain.provider.getBlockNumber()),
  ])
  const at = (block: bigint) => (block <= BigInt(head) ? 'now' : `from block ${block}`)
  output.result({ operator, self, delegated, allocation, withdrawableWei, stream, exits }, [
    `operator       ${operator}${stream.suspended ? '  SUSPENDED' : ''}`,
    `own pool       ${formatWei(self.tokensWei)}, ${formatWei(self.freeWei)} free`,
    `delegated      ${formatWei(delegated.tokensWei)}, ${formatWei(delegated.freeWei)} free`,
    `behind ${options.service} ${formatWei(allocation.backingWei)}${options.service === 'storage' ? custodyNeed(stream.needWei) : ''}`,
    allocation.pendingWei === 0n
      ? 'asked back     nothing'
      : `asked back     ${formatWei(allocation.pendingWei)}: zerog stake complete${serviceFlag(options.service)}, ${at(allocation.completableAtBlock)}`,
    ...exits.map(
      ({ exitId, pool, shares, releasableAtBlock }) =>
        `exit ${exitId}${' '.repeat(Math.max(1, 10 - String(exitId).length))}${shares} shares of the ${pool} pool: zerog stake release ${exitId}, ${at(releasableAtBlock)}`,
    ),
    `withdrawable   ${formatWei(withdrawableWei)} from staking, ${formatWei(stream.creditWei)} from storage`,
  ])
}

async function deposit(
  session: Session,
  output: Output,
  [amountWei]: [bigint],
  options: ServiceOption & { allocate?: boolean },
): Promise<void> {
  const { chain } = session
  const { service, pool } = await placeOfService(chain, options.service)
  const staked =
    pool === 'self'
      ? stakeCall(chain, amountWei)
      : delegateCall(chain, { operator: requireWallet(session).address, amountWei })
  if (options.allocate !== true) return await sendStake(session, output, 'staked', staked)
  const hash = await sendOne(session, 'staked', staked)
  const allocated = allocateCall(chain, { amountWei, service })
  const second = await sendOne(session, 'allocated', allocated).catch((error) => {
    output.note(
      `staked (${hash}), but not allocated: go on with zerog stake allocate ${formatEther(amountWei)}${serviceFlag(options.service)}`,
    )
    throw error
  })
  output.result({ done: 'staked and allocated', transactions: [hash, second] }, [
    `staked and allocated: ${hash} ${second}`,
  ])
}

async function requestExit(
  session: Session,
  output: Output,
  [given]: [string?],
  options: { pool: string; amount?: bigint },
): Promise<void> {
  const { chain } = session
  const pool = parsePool(options.pool)
  const owner = requireWallet(session).address
  const operator = given ?? owner
  const held = await readShares(chain, { operator, pool, owner })
  if (held.shares === 0n) throw new ZerogError('BAD_REQUEST', `${owner} has no shares of that pool`)
  const shares = sharesWorth(held, options.amount ?? held.worthWei)
  const hash = await sendOne(session, 'exit', requestExitCall(chain, { operator, pool, shares }))
  // Numbers only grow, so the newest exit of this owner is the one just made.
  const exit = (await newestExits(chain, owner))[0]
  output.result({ done: 'exit requested', transactions: [hash], exit }, [
    `exit requested: ${hash}`,
    ...(exit === undefined
      ? []
      : [`from block ${exit.releasableAtBlock}: zerog stake release ${exit.exitId}, zerog stake withdraw`]),
  ])
}

/** Shares that are worth an amount at most. Errors: BAD_REQUEST when all together are worth less. */
function sharesWorth(held: { shares: bigint; worthWei: bigint }, amountWei: bigint): bigint {
  if (amountWei === held.worthWei) return held.shares
  if (amountWei < held.worthWei) return (held.shares * amountWei) / held.worthWei
  throw new ZerogError('BAD_REQUEST', `your shares of that pool are worth ${formatWei(held.worthWei)} only`)
}

function custodyNeed(needWei: bigint | undefined): string {
  return needWei === undefined
    ? '; what custody needs is not known while pay lies unclaimed for so long'
    : `; custody needs ${formatWei(needWei)}`
}

/** What a further command for the same service needs. */
function serviceFlag(service: StakeService): string {
  return service === 'storage' ? '' : ` --service ${service}`
}

function parsePool(text: string): StakePool {
  if (text === 'self' || text === 'delegated') return text
  throw new ZerogError('BAD_REQUEST', `--pool must be self or delegated, not "${text}"`)
}

async function sendStake(session: Session, output: Output, done: string, call: ChainCall): Promise<void> {
  const hash = await sendOne(session, done, call)
  output.result({ done, transactions: [hash] }, [`${done}: ${hash}`])
}

async function sendOne(session: Session, label: string, call: ChainCall): Promise<string> {
  const sender = await signerSender(session.chain, requireWallet(session))
  const receipt = await sendCall(sender, { ...call, label: `stake ${label}`, signal: session.signal })
  return receipt.hash
}
