import { Command } from 'commander'
import { modelListCommand } from './model-list.ts'
import { publishModelCommand } from './model-publish.ts'
import { pullModelCommand } from './model-pull.ts'

/** `zerog model …`: models in storage, and the names they have in the registry. */
export function modelCommand(): Command {
  const model = new Command('model').description(
    'publish models through storage, find them, and bring them back',
  )
  for (const command of [publishModelCommand, modelListCommand, pullModelCommand]) model.addCommand(command())
  return model
}
