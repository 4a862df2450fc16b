import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { at } from '../../support/content.ts'
import { runZerog } from '../../support/zerog-cli.ts'
import {
  type Answer,
  ask,
  asker,
  askOk,
  CHAT,
  chainEnv,
  chat,
  feeOf,
  folder,
  readDigits,
  world,
  zerog,
} from './world.ts'

describe('zerog compute chat, embed, infer', () => {
  const STORY = ['compute', 'chat', 'Tell me a story about a fox.', '--temperature', '0']

  it('chat: verified, at the price of its tokens; commands of one account wait for each other', async () => {
    const env = { ...chainEnv(), PRIVATE_KEY: asker.privateKey }
    const [answer, words] = await Promise.all([
      askOk<Answer & { text: string; finish: string }>(STORY),
      runZerog(STORY, { cwd: folder, env }),
    ])
    assert.match(answer.text, /fox/)
    assert.deepEqual([answer.verified, answer.provider, answer.finish], [true, chat.wallet.address, 'stop'])
    assert.equal(answer.feeWei, feeOf(answer))
    assert.deepEqual([words.code, words.stdout], [0, `${answer.text}\n`], words.stderr)
    assert.match(words.stderr, new RegExp(`verified +${CHAT} by ${chat.wallet.address}\ncost +\\d+`))
  })

  it('embed: as many vectors as texts, from arguments or lines; a deposit only where it is allowed', async () => {
    const texts = ['a fox in the forest', 'a fox in the wood', 'the price of steel']
    const poor = await ask(['compute', 'embed', ...texts])
    assert.deepEqual([poor.errorCode(), poor.code], ['INSUFFICIENT_FUNDS', 77], poor.stderr)
    assert.match(poor.stderr, /--deposit/)
    const { vectors, verified } = await askOk<Answer & { vectors: number[][] }>([
      ...['compute', 'embed', ...texts, '--deposit', '0.1'],
    ])
    assert.equal(verified, true)
    const dot = (a: number, b: number) =>
      at(vectors, a).reduce((sum, value, i) => sum + value * (at(vectors, b)[i] ?? 0), 0)
    assert.ok(dot(0, 1) > dot(0, 2), 'what means the same is nearer')
  })

  it('infer: digits from a picture and from numbers', async () => {
    const held = readDigits()
    const image = at(held.images, 0)
    writeFileSync(join(folder, 'digit.pgm'), Buffer.concat([Buffer.from('P5 8 8 16\n'), Buffer.from(image)]))
    writeFileSync(
      join(folder, 'digits.json'),
      JSON.stringify([image, image].map((one) => one.map((v) => v / 16))),
    )
    type Inferred = Answer & { outputs: Record<string, { dims: number[]; data: number[] }> }
    const rows = async (file: string) => {
      const { outputs, feeWei } = await askOk<Inferred>(['compute', 'infer', file, '--deposit', '0.1'])
      const { dims, data } = at(Object.values(outputs), 0)
      const best = Array.from({ length: dims[0] ?? 0 }, (_, row) => {
        const own = data.slice(row * 10, row * 10 + 10)
        return own.indexOf(Math.max(...own))
      })
      return { best, feeWei }
    }
    const label = at(held.labels, 0)
    assert.deepEqual(await rows('digit.pgm'), { best: [label], feeWei: '4000' })
    assert.deepEqual(await rows('digits.json'), { best: [label, label], feeWei: '8000' })
  })

  const refusals: [name: string, args: string[], code: string, exit: number][] = [
    ['chat: a model that nobody serves', ['chat', 'hi', '--model', 'none'], 'INFERENCE_NO_PROVIDER', 69],
    ['chat: half a price', ['chat', 'hi', '--max-input-price', '1wei'], 'BAD_REQUEST', 64],
    ['infer: no file', ['infer', 'nowhere.npy'], 'FILE_MISSING', 66],
    ['infer: the wrong shape', ['infer', 'three.json'], 'COMPUTE_INPUT_INVALID', 65],
  ]
  for (const [name, args, code, exit] of refusals) {
    it(`error: ${name}`, async () => {
      writeFileSync(join(folder, 'three.json'), '[1, 2, 3]')
      const run = await ask(['compute', ...args])
      assert.deepEqual([run.errorCode(), run.code], [code, exit], run.stderr)
    })
  }

  it('error: chat: a limit that nothing fits in', async () => {
    // This one has asked nothing yet: no ceiling of before covers it.
    const fresh = world.account(6)
    await world.fund(fresh, chat.wallet.address)
    const run = await zerog(['compute', 'chat', 'hi', '--max-spend', '1wei'], {
      PRIVATE_KEY: fresh.privateKey,
    })
    assert.deepEqual([run.errorCode(), run.code], ['INFERENCE_LIMIT_REACHED', 77], run.stderr)
  })
})
