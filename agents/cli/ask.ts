import { createInterface, type Interface } from 'node:readline/promises'
import { ZerogError } from '../../sdk/protocol/errors.ts'

/** Asks a person for a line; `flag` is the option that answers as well. Errors: BAD_REQUEST without a terminal to ask. */
export async function ask(question: string, { flag, fallback }: ask.Options): Promise<string> {
  if (!process.stdin.isTTY) {
    if (fallback !== undefined) return fallback
    throw new ZerogError('BAD_REQUEST', `${flag} is missing, and there is no terminal to ask for it`)
  }
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const shown = fallback === undefined ? question : `${question}[${fallback}] `
    const answer = (await Promise.race([lines.question(shown), interrupted(lines)])).trim()
    return answer === '' && fallback !== undefined ? fallback : answer
  } finally {
    lines.close()
  }
}

/** Ctrl-C and Ctrl-D: without this, the question would never end. */
function interrupted(lines: Interface): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = () => reject(new ZerogError('ABORTED'))
    lines.once('SIGINT', abort).once('close', abort)
  })
}

export declare namespace ask {
  type Options = { flag: string; fallback?: string | undefined }
}

/** Asks for a password without showing it. Errors: BAD_REQUEST when there is no terminal to ask. */
export async function askPassword(prompt: string): Promise<string> {
  const { stdin, stderr } = process
  if (!stdin.isTTY) {
    throw new ZerogError(
      'BAD_REQUEST',
      'the keystore needs a password: set KEYSTORE_PASSWORD_FILE (or KEYSTORE_PASSWORD)',
    )
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
