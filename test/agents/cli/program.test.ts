import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Command } from 'commander'
import { createProgram } from '../../../agents/cli/program.ts'
import { readSource, sourceFiles } from '../../support/repository.ts'

/** Every command with its path, such as `storage upload`. */
function commandsOf(command: Command, path = ''): [path: string, command: Command][] {
  return command.commands.flatMap((child) => {
    const name = `${path} ${child.name()}`.trim()
    return [[name, child] as [string, Command], ...commandsOf(child, name)]
  })
}

const commands = new Map(commandsOf(createProgram()))

describe('createProgram', () => {
  it('behavior: every command, argument and option says what it is', () => {
    assert.ok(commands.size > 20, `${commands.size} commands`)
    for (const [path, command] of commands) {
      assert.notEqual(command.description(), '', path)
      for (const option of command.options) assert.notEqual(option.description, '', `${path} ${option.flags}`)
      for (const argument of command.registeredArguments)
        assert.notEqual(argument.description, '', `${path} ${argument.name()}`)
    }
  })

  const ADDRESS = `0x${'11'.repeat(20)}`
  const malformed: [command: string, code: string][] = [
    ['compute fund 0x12 1', 'BAD_HEX'],
    [`compute fund ${ADDRESS} much`, 'BAD_REQUEST'],
    ['compute withdraw --provider me', 'BAD_HEX'],
    ['compute services --limit 0', 'BAD_REQUEST'],
    ['compute chat hi --max-tokens 0', 'BAD_REQUEST'],
    ['compute chat hi --temperature 3', 'BAD_REQUEST'],
    ['compute chat hi --top-p -1', 'BAD_REQUEST'],
    ['compute chat hi --seed x', 'BAD_REQUEST'],
    ['compute infer', 'commander.missingArgument'],
    ['compute proxy --port 70000', 'BAD_REQUEST'],
    ['compute proxy --day-limit lots', 'BAD_REQUEST'],
    ['compute job status x', 'BAD_REQUEST'],
    ['compute job dispute 1 --evidence 0x1', 'BAD_HEX'],
    ['compute job submit file', 'commander.missingMandatoryOptionValue'],
    ['compute job submit file --model m --model-root 7', 'BAD_HEX'],
    ['compute sing', 'commander.unknownCommand'],
    ['agent init compute --model spaces!', 'BAD_REQUEST'],
    ['agent init compute --model-root 0x12', 'BAD_REQUEST'],
    ['agent init compute --input-price -1', 'BAD_REQUEST'],
    ['agent init compute --execution-provider abacus', 'BAD_REQUEST'],
    ['stake status --service poetry', 'BAD_REQUEST'],
  ]
  for (const [command, code] of malformed) {
    it(`error: ${command}`, async () => {
      const program = createProgram({ json: true })
      await assert.rejects(program.parseAsync(command.split(' '), { from: 'user' }), { code })
    })
  }

  it('behavior: docs, messages and advice name only commands that exist', () => {
    const files = [
      'README.md',
      'CONTRIBUTING.md',
      ...sourceFiles('docs', ['.md']),
      ...['agents', 'scripts', 'deploy'].flatMap((folder) => sourceFiles(folder, ['.ts', '.mjs'])),
    ]
    const known = (words: string) => commands.has(words) || ['help', ''].includes(words)
    let seen = 0
    for (const file of files) {
      for (const [, word = ''] of readSource(file).matchAll(/`(?:node )?zerog(?:\.mjs)? ([a-z]+)/g)) {
        // Elsewhere it may be a text to sign or to hash.
        if (/\.md$|^agents\/cli\//.test(file)) assert.ok(known(word), `${file}: zerog ${word}`)
      }
      for (const [, text = ''] of readSource(file).matchAll(/(?:\bzerog(?:\.mjs)?) ((?:[a-z]+ ?)+)/g)) {
        const words = text.trim().split(' ')
        // Words of a sentence may follow a command; its first word must be one.
        if (!known(words[0] ?? '')) continue
        seen++
        const group = commands.get(words[0] ?? '')
        const isGroup = group !== undefined && group.commands.length > 0
        if (isGroup && words.length > 1) {
          assert.ok(known(words.slice(0, 2).join(' ')), `${file}: zerog ${text}`)
        }
      }
    }
    assert.ok(seen > 30, `${seen} mentions`)
  })
})
