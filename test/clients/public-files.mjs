// What the public SDK says about files: root, submission nodes, fee and segment proofs, as JSON on the last line.
// Usage: node public-files.mjs PRICE_PER_SECTOR_WEI FILE...
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { MemData } from '@0gfoundation/0g-ts-sdk'

const require = createRequire(import.meta.url)
const entry = require.resolve('@0gfoundation/0g-ts-sdk')
const { calculatePrice } = require(entry.replace(/index\.js$/, 'transfer/utils.js'))

const [price, ...paths] = process.argv.slice(2)
const results = []
for (const path of paths) {
  const data = new MemData(await readFile(path))
  const [tree, treeError] = await data.merkleTree()
  if (treeError) throw treeError
  const [submission, error] = await data.createSubmission('0x', '0x00000000000000000000000000000000000000aa')
  if (error) throw error
  const { length, nodes } = submission.data
  results.push({
    root: tree.rootHash(),
    byteLength: Number(length),
    nodes: nodes.map(({ root, height }) => ({ root, height: Number(height) })),
    feeWei: calculatePrice(submission, BigInt(price)).toString(),
    proofs: tree.leaves.slice(0, data.numSegments()).map((_, index) => {
      const { lemma, path: sides } = tree.proofAt(index)
      return { lemma, path: sides }
    }),
  })
}
console.log(JSON.stringify(results))
