import type { Chain } from '../../sdk/chain/connect.ts'
import { read } from '../../sdk/chain/read.ts'
import { type ExitView, readExit } from '../../sdk/chain/staking.ts'

/** How many exits of the whole network are looked through, from the newest. */
const LOOK_BACK = 256n
const BATCH = 32

/** Waiting exits of an owner among the newest of the network, newest first. */
export async function newestExits(chain: Chain, owner: string): Promise<ExitView[]> {
  const count = await read(chain.contracts.staking.exitCount())
  const ids = Array.from(
    { length: Number(count < LOOK_BACK ? count : LOOK_BACK) },
    (_, i) => count - BigInt(i),
  )
  const found: ExitView[] = []
  while (ids.length > 0) {
    const batch = await Promise.all(ids.splice(0, BATCH).map((id) => readExit(chain, id)))
    found.push(...batch.flatMap((exit) => (exit?.owner === owner ? [exit] : [])))
  }
  return found
}
