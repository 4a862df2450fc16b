import { randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname } from 'node:path'
import { z } from 'zod'

const FIRST_PORT = 20_000
const LAST_PORT = 31_999

const portsFile = z.record(z.string(), z.number().int().min(1).max(65_535))

/**
 * Gives each name a free port, chosen once: the next start finds the same ports in `file`, unless another process has
 * taken one of them meanwhile.
 */
export async function choosePorts(file: string, names: readonly string[]): Promise<Record<string, number>> {
  const stored = readStored(file)
  const chosen: Record<string, number> = {}
  for (const name of names) {
    const before = stored[name]
    chosen[name] = before !== undefined && (await isFree(before)) ? before : await freePort()
  }
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${JSON.stringify({ ...stored, ...chosen }, null, 2)}\n`)
  return chosen
}

function readStored(file: string): Record<string, number> {
  if (!existsSync(file)) return {}
  try {
    return portsFile.parse(JSON.parse(readFileSync(file, 'utf8')))
  } catch {
    // A torn file costs nothing but new port numbers.
    return {}
  }
}

async function isFree(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen({ port, host: '127.0.0.1' }, () => server.close(() => resolve(true)))
  })
}

/**
 * A port that nobody listens on now, below the range that systems give to outgoing connections: else one of those could
 * hold the port while its owner is being restarted.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(FIRST_PORT, LAST_PORT + 1)
    if (await isFree(port)) return port
  }
}
