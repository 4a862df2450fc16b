// How long the public SDK takes for the root of a file in memory, as JSON. Usage: node public-root-time.mjs FILE
import { readFile } from 'node:fs/promises'
import { MemData } from '@0gfoundation/0g-ts-sdk'

const bytes = await readFile(process.argv[2])
const startedMs = performance.now()
const [tree, error] = await new MemData(bytes).merkleTree()
if (error) throw error
const root = tree.rootHash()
console.log(JSON.stringify({ root, seconds: (performance.now() - startedMs) / 1000 }))
