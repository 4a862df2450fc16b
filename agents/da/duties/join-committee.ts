import { keccak256 } from 'ethers'
import { registerMemberCall } from '../../../sdk/chain/da-calls.ts'
import { readMembership } from '../../../sdk/chain/da-committee.ts'
import { chainError } from '../../../sdk/chain/decode-error.ts'
import { read } from '../../../sdk/chain/read.ts'
import { blsKeyDigest, committeeDomain } from '../../../sdk/protocol/da-typed-data.ts'
import { fromHex } from '../../../sdk/protocol/hex.ts'
import type { Duty } from '../../kernel/duty.ts'
import { g2Point } from '../bls-points.ts'
import type { DaContext } from '../context.ts'

type Join = { operator: string; block: number }

/** Takes a slot in the committee as soon as the operator's stake suffices, with a proof that it holds its key. */
export const joinCommittee: Duty<Join, DaContext> = {
  name: 'join-committee',
  everyBlocks: 4,

  async due(ctx) {
    const { chain, self, signal } = ctx
    const options = { blockTag: ctx.head.number, signal }
    const { slot } = await readMembership(chain, self, options)
    if (slot !== undefined) return []
    const { registry, staking } = chain.contracts
    const [isOperator, backingWei] = await read(
      Promise.all([
        registry.isOperator(self, { blockTag: ctx.head.number }),
        staking.backing(self, chain.da.addresses.DaCommittee, { blockTag: ctx.head.number }),
      ]),
      options,
    )
    if (!isOperator || backingWei < chain.daTerms.minStakeWei) return []
    return [{ operator: self, block: ctx.head.number }]
  },

  id: ({ operator }) => `join-${operator}`,

  async perform({ block }, ctx) {
    const { bls, chain, self, signal } = ctx
    const domain = committeeDomain(chain.chainId, chain.da.addresses.DaCommittee)
    const digest = blsKeyDigest(domain, { operator: self, keyHash: keccak256(bls.publicKeyPoint) })
    const proofOfPossession = g2Point(bls.sign(fromHex(digest)))
    try {
      await ctx.sender.submit({
        ...registerMemberCall(chain, { publicKey: bls.publicKeyPoint, proofOfPossession }),
        label: `da-join-${block}`,
        signal,
      })
    } catch (error) {
      throw chainError(error)
    }
    ctx.log.info('joined the committee from the next epoch on')
  },
}
