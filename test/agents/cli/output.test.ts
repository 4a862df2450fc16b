import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { printable } from '../../../agents/cli/output.ts'

describe('printable', () => {
  it('default: letters of any script, line feeds and tabs stay', () => {
    const text = 'Füchse\tund 狐 🦊\nzwei'
    assert.equal(printable(text), text)
  })

  it('behavior: nothing steers the terminal', () => {
    const esc = String.fromCharCode(27)
    const bell = String.fromCharCode(7)
    assert.equal(
      printable(`${esc}]52;c;cm0gLXJm${bell}a\r\bb${String.fromCharCode(0x9b)}2J`),
      ']52;c;cm0gLXJmab2J',
    )
  })
})
