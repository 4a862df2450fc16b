import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { type Fragment, Interface, type InterfaceAbi } from 'ethers'
import {
  IInferenceServing__factory,
  InferenceServing__factory,
  LedgerManager__factory,
} from '../../../typechain-types/index.js'
import { ROOT } from '../../support/repository.ts'

const require = createRequire(join(ROOT, 'test/clients/package.json'))
/** Where the public client keeps what its own contracts were compiled to. */
const LIBRARY = dirname(require.resolve('@0gfoundation/0g-compute-ts-sdk'))

function publicAbi(folder: string, contract: string): Interface {
  const file = join(LIBRARY, folder, 'contract/typechain/factories', `${contract}__factory.js`)
  const module = require(file) as Record<string, { abi: InterfaceAbi }>
  const abi = module[`${contract}__factory`]?.abi
  assert.ok(abi, `${file} has no ABI`)
  return new Interface(abi)
}

/** Name, types in order, indexed or not, what is returned, and whether it may be paid. */
const factsOf = (abi: Interface) =>
  new Set(
    abi.fragments
      .filter((fragment: Fragment) => fragment.type !== 'constructor')
      // Names of parameters are for readers; a pure function of ours serves where theirs is a view.
      .map((fragment) => fragment.format('sighash') + shapeOf(fragment)),
  )

function shapeOf(fragment: Fragment): string {
  const { outputs = [], inputs = [] } = JSON.parse(fragment.format('json')) as {
    inputs?: Shape[]
    outputs?: Shape[]
  }
  return ` ${JSON.stringify([fragment.type, inputs.map(bare), outputs.map(tuple)])}`
}

type Shape = { name?: string; type: string; indexed?: boolean; components?: Shape[] }

/** Clients read the members of tuples by name. */
const tuple = ({ type, components }: Shape): unknown =>
  components === undefined ? type : [type, components.map(({ name, ...rest }) => [name, tuple(rest)])]
const bare = (shape: Shape): unknown => [tuple(shape), shape.indexed ?? false]

describe('public ABI', () => {
  const cases: [string, Interface, Interface[]][] = [
    ['LedgerManager', publicAbi('ledger', 'LedgerManager'), [new Interface(LedgerManager__factory.abi)]],
    [
      'InferenceServing',
      publicAbi('inference', 'InferenceServing'),
      [new Interface(IInferenceServing__factory.abi), new Interface(InferenceServing__factory.abi)],
    ],
  ]
  for (const [name, theirs, ours] of cases) {
    it(`default: ${name} has every function, event and error of the public client`, () => {
      const known = new Set(ours.flatMap((abi) => [...factsOf(abi)]))
      const wanted = factsOf(theirs)
      assert.ok(wanted.size > 40, `${wanted.size} facts`)
      assert.deepEqual(
        [...wanted].filter((fact) => !known.has(fact)),
        [],
      )
    })
  }
})
