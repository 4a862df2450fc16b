import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { openEmbed } from '../../models/open-embed.ts'
import { until } from '../../support/until.ts'
import { type ComputeWorld, modelDir, startComputeWorld, type WorldProvider } from './compute-world.ts'

const DIGITS = 'zerog/digits'
const EMBED = 'zerog/embed-mini'
const heldout = JSON.parse(readFileSync(join(modelDir('digits'), 'heldout.json'), 'utf8')) as {
  maxPixel: number
  images: number[][]
  labels: number[]
}

describe('a provider of tensors', () => {
  let world: ComputeWorld
  let provider: WorldProvider
  let key: string

  before(async () => {
    world = await startComputeWorld()
    provider = await world.addProvider(0, {
      ...{ MODEL_ID: DIGITS, MODEL_DIR: modelDir('digits'), USER_REQUESTS: '400' },
    })
    await provider.start()
    await until('the service is listed', async () => {
      await world.anvil.mine(1)
      return provider.isListed()
    })
    await world.fund(world.account(20), provider.wallet.address)
    key = await world.keyOf(world.account(20), provider.wallet.address)
  })
  after(() => world.stop())

  async function infer(body: object) {
    const response = await fetch(`${provider.url}/v1/proxy/infer`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(30_000),
    })
    assert.equal(response.status, 200, await response.clone().text())
    return (await response.json()) as {
      outputs: { logits: { dims: number[]; data: number[] & string } }
      usage: { input_units: number; output_units: number }
    }
  }
  const pixels = (image: readonly number[]) => image.map((value) => value / heldout.maxPixel)
  const best = (logits: readonly number[]) => logits.indexOf(Math.max(...logits))

  it('default: one request classifies the held-out digits, a unit each', async () => {
    const { images, labels } = heldout
    const data = images.flatMap(pixels)
    const { outputs, usage } = await infer({
      model: DIGITS,
      inputs: { pixel_values: { dims: [images.length, 1, 8, 8], data } },
    })
    assert.deepEqual(outputs.logits.dims, [images.length, 10])
    assert.deepEqual(usage, { input_units: images.length, output_units: images.length })
    const right = labels.filter((label, i) => best(outputs.logits.data.slice(i * 10, i * 10 + 10)) === label)
    assert.ok(right.length >= 0.97 * labels.length, `${right.length} of ${labels.length}`)
  })

  it('behavior: many at the same time get their own answers, as one alone gets', async () => {
    const images = heldout.images.slice(0, 100)
    const one = (image: readonly number[]) =>
      infer({ inputs: { pixel_values: { dims: [1, 1, 8, 8], data: pixels(image) } } })
    const together = await Promise.all(images.map(one))
    for (const i of [0, 17, 99]) {
      const alone = await one(images[i] ?? [])
      const logits = together[i]?.outputs.logits.data ?? []
      for (const [n, value] of alone.outputs.logits.data.entries())
        assert.ok(Math.abs(value - (logits[n] ?? 0)) < 1e-4)
    }
  })

  it('behavior: bytes travel as base64 both ways', async () => {
    const image = pixels(heldout.images[3] ?? [])
    const bytes = Buffer.from(Float32Array.from(image).buffer).toString('base64')
    const plain = await infer({ inputs: { pixel_values: { dims: [1, 1, 8, 8], data: image } } })
    const packed = await infer({
      encoding: 'base64',
      inputs: { pixel_values: { type: 'float32', dims: [1, 1, 8, 8], data: bytes } },
    })
    const back = new Float32Array(new Uint8Array(Buffer.from(packed.outputs.logits.data, 'base64')).buffer)
    assert.deepEqual(Array.from(back, Math.fround), plain.outputs.logits.data.map(Math.fround))
  })

  it('behavior: embeddings through the openai client are those of the bare runtime', async () => {
    const embedder = await world.addProvider(1, { MODEL_ID: EMBED, MODEL_DIR: modelDir('embed') })
    const agent = await embedder.start()
    await until('the service is listed', async () => {
      await world.anvil.mine(1)
      return embedder.isListed()
    })
    await world.fund(world.account(20), embedder.wallet.address)
    const client = await world.client(world.account(20), embedder)
    const bare = await openEmbed('model')
    for (const input of [['a small river'], ['a boat', 'a large building where goods are made', 'x']]) {
      const expected = (await bare.embed(input)).map((vector) => Array.from(vector))
      for (const encoding_format of ['float', 'base64'] as const) {
        const before = agent.context.receipts.totalUnsettledWei()
        const { data, usage, model } = await client.embeddings.create({
          model: EMBED,
          input,
          encoding_format,
        })
        const vectors = data.map(({ embedding }) =>
          typeof embedding === 'string' ? floatsOf(embedding) : embedding.map(Math.fround),
        )
        assert.deepEqual(vectors, expected)
        assert.deepEqual(
          data.map(({ index }) => index),
          input.map((_, i) => i),
        )
        assert.equal(model, EMBED)
        assert.equal(
          usage.prompt_tokens,
          (await bare.run(input)).lengths.reduce((sum, n) => sum + n, 0),
        )
        const feeWei = agent.context.receipts.totalUnsettledWei() - before
        assert.equal(feeWei, BigInt(usage.prompt_tokens) * 1000n)
      }
    }
    const one = await client.embeddings.create({ model: EMBED, input: 'a small river' })
    assert.deepEqual(
      one.data[0]?.embedding.map(Math.fround),
      Array.from((await bare.embed(['a small river']))[0] ?? []),
    )
    const refused = async (change: object, status: number, message: RegExp) =>
      assert.rejects(client.embeddings.create({ model: EMBED, input: 'x', ...change } as never), {
        ...{ status, message },
      })
    await refused({ input: [] }, 400, /input/)
    await refused({ input: '' }, 400, /input/)
    await refused({ input: [[1, 2]] }, 400, /input/)
    await refused({ input: new Array(257).fill('x') }, 400, /input/)
    await refused({ input: 'fox '.repeat(3000) }, 400, /context/)
    await refused({ dimensions: 5 }, 400, /dimensions/)
    await refused({ model: 'other' }, 404, /other/)
  })
})

function floatsOf(base64: string): number[] {
  return Array.from(new Float32Array(new Uint8Array(Buffer.from(base64, 'base64')).buffer))
}
