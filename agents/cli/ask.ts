import { createInterface } from 'node:readline/promises'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** Asks a person for a line. Errors: BAD_REQUEST when there is no terminal to ask. */
export async function ask(question: string, fallback?: string): Promise<string> {
  if (!process.stdin.isTTY) {
    if (fallback !== undefined) return fallback
    throw new ZerogError(
      'BAD_REQUEST',
      `"${question.trim()}" needs an answer, and there is no terminal: give it as a flag`,
    )
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const shown = fallback === undefined ? question : `${question}[${fallback}] `
    const answer = (await lines.question(shown)).trim()
    return answer === '' && fallback !== undefined ? fallback : answer
  } finally {
    lines.close()
  }
}

/** Asks for a password without showing it. Errors: BAD_REQUEST when there is no terminal to ask. */
export async function askPassword(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY) {
    throw new ZerogError('BAD_REQUEST', 'the keystore needs a password: set KEYSTORE_PASSWORD_FILE')
  }
  stderr.write(prompt)
  stdin.setRawMode(true)
  stdin.resume()
  try {
    return await readHidden(stdin)
  } finally {
    stdin.setRawMode(false)
    stdin.pause()
    stderr.write('\n')
  }
}

async function readHidden(stdin: NodeJS.ReadStream): Promise<string> {
  let typed = ''
  for await (const chunk of stdin.iterator({ destroyOnReturn: false })) {
    for (const key of String(chunk)) {
      if (key === '\r' || key === '\n') return typed
      if (key === '\u0003') throw new ZerogError('ABORTED')
      typed = key === '\u007f' ? typed.slice(0, -1) : typed + key
    }
  }
  return typed
}
