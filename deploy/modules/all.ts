import type { JournalHeader } from '../journal.ts'
import type { Module } from '../module.ts'
import { beaconModule } from './01-beacon.ts'
import { operatorRegistryModule } from './02-operator-registry.ts'
import { stakingModule } from './03-staking.ts'
import { storageModule } from './04-storage.ts'
import { wireModule } from './05-wire.ts'
import { daModule } from './06-da.ts'
import { daWireModule } from './07-wire-da.ts'
import { computeModule } from './08-compute.ts'
import { computeWireModule } from './09-wire-compute.ts'
import { handoverModule } from './10-handover.ts'

/** The parts of a deployment, in order. */
export function modulesOf({ hasDa }: Pick<JournalHeader, 'hasDa'>): readonly Module[] {
  const da = hasDa ? [daModule, daWireModule] : []
  return [
    beaconModule,
    operatorRegistryModule,
    stakingModule,
    storageModule,
    wireModule,
    ...da,
    computeModule,
    computeWireModule,
    handoverModule,
  ]
}
