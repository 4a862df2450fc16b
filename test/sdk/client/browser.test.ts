import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, afterEach, before, describe, it } from 'node:test'
import { type Browser, chromium, type Page } from 'playwright-core'
import { bytesSource } from '../../../sdk/client/file-source.ts'
import { prepareFile } from '../../../sdk/client/prepare.ts'
import { encodeColumn } from '../../../sdk/protocol/column.ts'
import { bundle } from '../../support/bundle.ts'
import { findChromium } from '../../support/chromium.ts'
import { at, randomBytes } from '../../support/content.ts'
import { tempDir } from '../../support/temp-dir.ts'
import type { Page as Sdk } from './browser-page.ts'
import { type DaNetwork, type Published, startDaNetwork } from './da-network.ts'

const ARGS = ['--no-sandbox', '--disable-background-networking', '--disable-dev-shm-usage', '--disable-gpu']

describe('the SDK in a browser', () => {
  let network: DaNetwork
  let published: Published
  let browser: Browser
  let page: Page
  const errors: string[] = []
  const payload = randomBytes(130_000, 8)
  const site = tempDir()
  const server = createServer((request, response) => {
    const file = join(site, (request.url ?? '/').replace(/^\/+/, ''))
    if (request.url === '/') {
      response.writeHead(200, { 'content-type': 'text/html' })
      response.end('<!doctype html><title>zerog</title><script type="module" src="/index.js"></script>')
    } else if (existsSync(file)) {
      response.writeHead(200, { 'content-type': 'text/javascript' }).end(readFileSync(file))
    } else {
      response.writeHead(404).end()
    }
  })

  before(async () => {
    await bundle('test/sdk/client/browser-page.ts', site)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    browser = await chromium.launch({ executablePath: await findChromium(), headless: true, args: ARGS })
    network = await startDaNetwork()
    published = await network.publish(payload)
    page = await browser.newPage()
    page.on('pageerror', (error) => errors.push(error.message))
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await page.waitForFunction('globalThis.page !== undefined')
  })

  after(async () => {
    await browser?.close()
    await network?.stop()
    server.closeAllConnections()
    server.close()
    assert.deepEqual(errors, [])
  })

  afterEach(() => {
    for (const node of network.nodes) node.fault = () => undefined
  })

  /** Calls a function of the page, which is the one of this name. */
  async function call<N extends 'sample' | 'verifyFinal' | 'read' | 'readError'>(name: N) {
    const task = { rpcUrl: network.anvil.rpcUrl, book: network.bookJson, blobId: published.blobId }
    const result: unknown = await page.evaluate(`globalThis.page.${name}(${JSON.stringify(task)})`)
    return result as Awaited<ReturnType<Sdk[N]>>
  }

  const columnOf = (path: string) => /columns\/(\d+)$/.exec(path)?.[1]

  it('runs in a real Chromium', async () => {
    assert.match(await page.evaluate('navigator.userAgent'), /Chrome\//)
    assert.equal(await page.evaluate('typeof process'), 'undefined')
  })

  it('samples real columns of several nodes and finds the blob available', async () => {
    const { verdict, confidence, samples, operators } = await call('sample')
    assert.equal(verdict, 'AVAILABLE')
    assert.equal(samples, 16)
    assert(confidence !== undefined && confidence > 0.999996 && confidence < 1)
    assert(new Set(operators).size > 1)
  })

  it('refuses tampered cells', async () => {
    for (const node of network.nodes)
      node.fault = (path) => {
        const column = columnOf(path)
        if (column === undefined) return undefined
        const body = encodeColumn(at(published.encoded.columns, Number(column)))
        body[1000] = (body[1000] ?? 0) ^ 1
        return { status: 200, body }
      }
    const { verdict, codes } = await call('sample')
    assert.equal(verdict, 'UNAVAILABLE')
    assert.deepEqual([...new Set(codes)], ['DA_CELL_INVALID'])
    assert.equal(await call('readError'), 'DA_TOO_FEW_COLUMNS')
  })

  it('makes sure that the blob is FINAL', async () => {
    const { payloadHash } = await call('verifyFinal')
    assert.equal(payloadHash, published.header.payloadHash)
  })

  it('reads the payload, also with half of the columns gone', async () => {
    assert.deepEqual(await call('read'), { payload: Array.from(payload), isRebuilt: false })
    for (const node of network.nodes)
      node.fault = (path) => (Number(columnOf(path)) < 64 ? { status: 404 } : undefined)
    assert.deepEqual(await call('read'), { payload: Array.from(payload), isRebuilt: true })
  })

  it('computes the storage root that Node.js computes', async () => {
    const bytes = randomBytes(50_000, 6)
    const { root } = await prepareFile({ source: bytesSource(bytes), parityShards: 8 })
    assert.equal(await page.evaluate(`globalThis.page.storageRoot(${JSON.stringify([...bytes])})`), root)
  })
})
