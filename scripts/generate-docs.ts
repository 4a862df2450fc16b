import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import { CHECKOUT } from '../agents/cli/checkout.ts'
import { computeEnv } from '../agents/compute/config.ts'
import { daEnv } from '../agents/da/config.ts'
import { describeEnv, kernelEnv } from '../agents/kernel/config.ts'
import { storageEnv } from '../agents/storage/config.ts'
import { deployEnv } from '../deploy/config.ts'
import { ERROR_CODES } from '../sdk/protocol/errors.ts'

/** Files that are written from the code, never by hand; a test compares them. `node dist/scripts/generate-docs.js` rewrites them. */
export function generatedDocs(): Record<string, string> {
  return { '.env.example': envExample(), 'docs/errors.md': errorTable() }
}

function envExample(): string {
  const sections = [
    ['Every agent, and the `zerog` commands', describeEnv(kernelEnv)],
    ['Storage agent', describeEnv(ownPart(storageEnv))],
    ['DA agent', describeEnv(ownPart(daEnv))],
    ['Compute agent', describeEnv(ownPart(computeEnv))],
    ['Deployment', describeEnv(deployEnv)],
  ]
  return [
    '# Settings, with their defaults. Copy to .env and uncomment what you change; `zerog agent init` writes one.',
    '# Written from the schemas in agents/*/config.ts and deploy/config.ts.',
    ...sections.map(([title, body]) => `\n# ${title}\n\n${body}`),
    '',
  ].join('\n')
}

/** What an agent reads beside the variables that all agents share. */
function ownPart(schema: z.ZodObject): z.ZodObject {
  const own = Object.entries(schema.shape).filter(([name]) => !Object.hasOwn(kernelEnv.shape, name))
  return z.object(Object.fromEntries(own) as z.ZodRawShape)
}

function errorTable(): string {
  const rows = Object.entries(ERROR_CODES).map(
    ([code, { meaning, action, httpStatus, exitCode, retryable }]) =>
      `| \`${code}\` | ${meaning} | ${action} | ${httpStatus} | ${exitCode} | ${retryable ? 'yes' : ''} |`,
  )
  return [
    '# Error codes',
    '',
    'Every error of the SDK, the agents and the CLI carries one of these codes, and code never depends on a message. HTTP',
    'answers have the form `{"error":{"code","message","meta"}}`; the CLI leaves with the exit code, and prints the same as JSON',
    'with `--json`. "again" marks those where the same call may succeed later without anybody changing anything.',
    '',
    '| code | meaning | what to do | HTTP | exit | again |',
    '|---|---|---|---|---|---|',
    ...rows,
    '',
  ].join('\n')
}

if (process.argv[1] === import.meta.filename) {
  for (const [file, content] of Object.entries(generatedDocs())) {
    const path = join(CHECKOUT, file)
    const changed = readFileSync(path, { encoding: 'utf8', flag: 'a+' }) !== content
    if (changed) writeFileSync(path, content)
    process.stdout.write(`${changed ? 'wrote' : 'kept '} ${file}\n`)
  }
}
