import type { Module } from '../module.ts'

export const operatorRegistryModule: Module = {
  steps: () => [
    {
      kind: 'deploy',
      id: 'OperatorRegistry',
      contract: 'OperatorRegistry',
      args: ({ addressOf }) => [addressOf('Beacon')],
    },
  ],
  checks: [],
}
