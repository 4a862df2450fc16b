import { Command } from 'commander'
import type { ChainCall } from '../../../sdk/chain/chain-call.ts'
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
import { parseAddress, parseAmount } from '../amount.ts'
import { formatWei } from '../format.ts'
import type { Output } from '../output.ts'
import { requireWallet, type Session, withSession } from '../session.ts'

/** `zerog stake …`: own stake, delegation, allocations and exits. */
export function stakeCommand(): Command {
  const stake = new Command('stake').description('stake, delegate, allocate to services, leave')
  stake
    .command('status')
    .description('pools, allocation to storage and what is withdrawable')
    .argument('[operator]', 'operator; your own by default', parseAddress)
    .action(withSession(showStake))
  stake
    .command('deposit')
    .description('add coins to your own pool')
    .argument('<amount>', 'coins, such as 12.5', parseAmount)
    .option('--allocate', 'put it behind storage at once')
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
    .description('put free stake behind storage')
    .argument('<amount>', 'coins', parseAmount)
    .action(
      withSession((session, output, [amountWei]: [bigint]) =>
        sendStake(session, output, 'allocated', allocateCall(session.chain, { amountWei })),
      ),
    )
  stake
    .command('deallocate')
    .description('ask an allocation back from storage; it stays slashable until it is completed')
    .argument('<amount>', 'coins', parseAmount)
    .action(
      withSession((session, output, [amountWei]: [bigint]) =>
        sendStake(
          session,
          output,
          'deallocation requested',
          requestDeallocationCall(session.chain, { amountWei }),
        ),
      ),
    )
  stake
    .command('complete')
    .description('complete a de-allocation whose delay is over')
    .action(
      withSession((session, output) => {
        const operator = requireWallet(session).address
        return sendStake(
          session,
          output,
          'deallocated',
          completeDeallocationCall(session.chain, { operator }),
        )
      }),
    )
  stake
    .command('exit')
    .description('ask shares back; they are paid at the price of the release')
    .argument('<operator>', 'operator whose pool it is', parseAddress)
    .option('--pool <pool>', 'self or delegated', 'self')
    .option('--shares <count>', 'shares; all by default')
    .action(withSession(requestExit))
  stake
    .command('release')
    .description('release an exit whose delay is over')
    .argument('<exitId>', 'number of the exit', BigInt)
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

async function showStake(session: Session, output: Output, [given]: [string?]): Promise<void> {
  const { chain } = session
  const operator = given ?? requireWallet(session).address
  const [self, delegated, allocation, withdrawableWei, stream] = await Promise.all([
    readPool(chain, { operator, pool: 'self' }),
    readPool(chain, { operator, pool: 'delegated' }),
    readAllocation(chain, { operator }),
    readStakingClaimable(chain, operator),
    readProviderStream(chain, operator),
  ])
  output.result({ operator, self, delegated, allocation, withdrawableWei, stream }, [
    `operator       ${operator}${stream.suspended ? '  SUSPENDED' : ''}`,
    `own pool       ${formatWei(self.tokensWei)}, ${formatWei(self.freeWei)} free`,
    `delegated      ${formatWei(delegated.tokensWei)}`,
    `behind storage ${formatWei(allocation.backingWei)}; custody needs ${formatWei(stream.needWei)}`,
    `asked back     ${formatWei(allocation.pendingWei)}`,
    `withdrawable   ${formatWei(withdrawableWei)} from staking, ${formatWei(stream.creditWei)} from storage`,
  ])
}

async function deposit(
  session: Session,
  output: Output,
  [amountWei]: [bigint],
  options: { allocate?: boolean },
): Promise<void> {
  const calls = [stakeCall(session.chain, amountWei)]
  if (options.allocate === true) calls.push(allocateCall(session.chain, { amountWei }))
  await sendStake(session, output, options.allocate === true ? 'staked and allocated' : 'staked', ...calls)
}

async function requestExit(
  session: Session,
  output: Output,
  [operator]: [string],
  options: { pool: string; shares?: string },
): Promise<void> {
  const pool = parsePool(options.pool)
  const owner = requireWallet(session).address
  const held = await readShares(session.chain, { operator, pool, owner })
  const shares = options.shares === undefined ? held.shares : BigInt(options.shares)
  await sendStake(
    session,
    output,
    'exit requested',
    requestExitCall(session.chain, { operator, pool, shares }),
  )
}

function parsePool(text: string): StakePool {
  if (text === 'self' || text === 'delegated') return text
  throw new ZerogError('BAD_REQUEST', `--pool must be self or delegated, not "${text}"`)
}

async function sendStake(
  session: Session,
  output: Output,
  done: string,
  ...calls: ChainCall[]
): Promise<void> {
  const sender = await signerSender(session.chain, requireWallet(session))
  const hashes: string[] = []
  for (const call of calls) {
    const receipt = await sendCall(sender, { ...call, label: `stake ${done}`, signal: session.signal })
    hashes.push(receipt.hash)
  }
  output.result({ done, transactions: hashes }, [`${done}: ${hashes.join(' ')}`])
}
