import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { until } from '../../support/until.ts'
import { type ComputeWorld, modelDir, startComputeWorld, type WorldProvider } from './compute-world.ts'

const DIGITS = 'zerog/digits'
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
})
