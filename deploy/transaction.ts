import { concat } from 'ethers'
import { loadArtifact } from './artifact.ts'
import type { Refs, Step } from './module.ts'

/** Target and payload of a step; `to` is null where it creates a contract. */
export type StepTransaction = { to: string | null; data: string }

export function transactionOf(step: Step, refs: Refs): StepTransaction {
  if (step.kind === 'pad') return { to: senderOf(step, refs), data: '0x' }
  const { abi, bytecode } = loadArtifact(step.contract)
  const args = step.args(refs)
  if (step.kind === 'deploy') return { to: null, data: concat([bytecode, abi.encodeDeploy(args)]) }
  return { to: refs.addressOf(step.contract), data: abi.encodeFunctionData(step.method, args) }
}

/** The account that sends a step. */
export function senderOf(step: Step, refs: Pick<Refs, 'deployer' | 'computeDeployer'>): string {
  return step.fromCompute ? refs.computeDeployer : refs.deployer
}
