import type { Module } from '../module.ts'
import { beaconModule } from './01-beacon.ts'
import { operatorRegistryModule } from './02-operator-registry.ts'
import { stakingModule } from './03-staking.ts'
import { storageModule } from './04-storage.ts'
import { wireModule } from './05-wire.ts'
import { handoverModule } from './06-handover.ts'

/** Every part of the deployment, in order. */
export const MODULES: readonly Module[] = [
  beaconModule,
  operatorRegistryModule,
  stakingModule,
  storageModule,
  wireModule,
  handoverModule,
]
