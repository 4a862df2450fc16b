#!/usr/bin/env node
import { fileURLToPath } from 'node:url'
import { ensureBuilt } from './setup/build.mjs'
import { ensureChromium } from './setup/chromium.mjs'
import { withLock } from './setup/lock.mjs'
import { childEnv, ensureNode } from './setup/node.mjs'
import { ensurePackages } from './setup/packages.mjs'
import { ensureRedis } from './setup/redis.mjs'
import { output, ROOT } from './setup/step.mjs'

/**
 * Makes a fresh clone ready: Node 24, npm packages, then `redis-server` and a build where asked for. It never asks a
 * question, does nothing that is already done, and returns what a child process needs. A missing Chromium is only told: one
 * test needs it, and says so again.
 */
export async function setup({ redis = true, build = true, chromium = false } = {}) {
  return await withLock(async () => {
    const node = await ensureNode()
    const env = childEnv(node, ROOT)
    await ensurePackages(env, node === process.execPath ? process.version : await output(node, ['-v']))
    if (redis) await ensureRedis()
    if (chromium) await ensureChromium().catch(({ message }) => process.stderr.write(`${message}\n`))
    if (build) await ensureBuilt(env)
    return { node, env }
  })
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await setup()
    process.stderr.write('ready\n')
  } catch (error) {
    process.stderr.write(`${error.code ?? 'ERROR'}: ${error.message}\n`)
    process.exitCode = error.exitCode ?? 1
  }
}
