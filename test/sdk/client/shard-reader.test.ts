import assert from 'node:assert/strict'
import { describe, it, mock } from 'node:test'
import { bytesSource, type FileSource } from '../../../sdk/client/file-source.ts'
import { createShardReader } from '../../../sdk/client/shard-reader.ts'
import { referenceErasure } from '../../../sdk/protocol/erasure.ts'
import { loadErasureEngine } from '../../../sdk/protocol/erasure-wasm.ts'
import { fileLayout, shardBytes, shardRange } from '../../../sdk/protocol/layout.ts'
import { at, randomBytes } from '../../support/content.ts'

const PARITY = 8
const WINDOW = 65_536
const MIB = 1024 * 1024
const bytes = randomBytes(8_000_000, 71)
const layout = fileLayout(bytes.length)
const total = shardBytes(layout)
const engines = { erasure: await loadErasureEngine() }

const data = Array.from({ length: layout.dataShards }, (_, index) => {
  const { start, end } = shardRange(layout, index)
  const shard = new Uint8Array(total)
  shard.set(bytes.subarray(start, end))
  return shard
})
const shards = [...data, ...referenceErasure.encode(data, PARITY)]

const wide = fileLayout(200_000_000)
/** A source without end, so that more windows are asked for than are kept. */
const endless: FileSource = {
  byteLength: wide.byteLength,
  read: async (offset, length, into = new Uint8Array(length)) =>
    into.subarray(0, length).fill(Math.floor(offset / 65_536) % 251),
}

/** A reader of small windows, and how often a window of the data has been read for its parity. */
function open(source: FileSource = bytesSource(bytes), of = { layout, maxWindowBytes: WINDOW }) {
  const total = shardBytes(of.layout)
  let firstShardReads = 0
  const counting: FileSource = {
    ...source,
    read: (offset, ...rest) => {
      if (offset < total) firstShardReads++
      return source.read(offset, ...rest)
    },
  }
  const reader = createShardReader(engines, counting, { ...of, parityShards: PARITY })
  return { reader, passes: () => firstShardReads }
}

describe('createShardReader', () => {
  it('default: every shard from any offset to the end of its window, in memory that is used again', async () => {
    const { reader } = open()
    assert.equal(reader.windowBytes, WINDOW)
    const buffer = new Uint8Array(WINDOW)
    for (const index of [0, layout.dataShards - 1, layout.dataShards, shards.length - 1]) {
      for (const offset of [0, 1, WINDOW - 1, WINDOW, total - 1_000]) {
        const end = Math.min(total, (Math.floor(offset / WINDOW) + 1) * WINDOW)
        const expected = Buffer.from(at(shards, index).subarray(offset, end))
        assert.ok(expected.equals(await reader.read(index, offset, buffer)), `${index} from ${offset}`)
        assert.ok(expected.equals(await reader.read(index, offset)), `${index} from ${offset}, copied`)
      }
    }
  })

  it('behavior: parity shards that are read side by side share one pass over the data', async () => {
    const { reader, passes } = open()
    await Promise.all(
      Array.from({ length: PARITY }, async (_, i) => {
        for (let offset = 0; offset < total; offset += WINDOW)
          await reader.read(layout.dataShards + i, offset)
      }),
    )
    assert.equal(passes(), Math.ceil(total / WINDOW))
  })

  it('behavior: readers far apart get the right bytes, whoever loses a window to whom', async () => {
    const reader = createShardReader(engines, endless, { layout: wide, parityShards: PARITY })
    const windows = shardBytes(wide) / reader.windowBytes
    assert.ok(windows > 8)
    const columnOf = async (number: number) => {
      const columns = await Promise.all(
        Array.from({ length: wide.dataShards }, (_, index) =>
          reader.read(index, number * reader.windowBytes),
        ),
      )
      return referenceErasure.encode(
        columns.map((column) => column.slice(0, 512)),
        PARITY,
      )
    }
    const numbers = [0, windows - 1, 1, windows - 2, 0, 2, windows - 3, 3, 4, 5, 6, 7, 8, 0, windows - 1]
    await Promise.all(
      numbers.map(async (number, i) => {
        const parity = i % PARITY
        const offset = number * reader.windowBytes
        const got = await reader.read(wide.dataShards + parity, offset)
        const expected = at(await columnOf(number), parity)
        assert.ok(Buffer.from(got.subarray(0, 512)).equals(expected), `window ${number}, parity ${parity}`)
      }),
    )
  })

  it('behavior: who is ahead waits for one that is behind, but not for one that has stopped', async () => {
    // Only the waiting has a timer.
    mock.timers.enable({ apis: ['setTimeout'] })
    try {
      const { reader, passes } = open(endless, { layout: wide, maxWindowBytes: MIB })
      const windows = shardBytes(wide) / reader.windowBytes
      assert.equal(windows, 16)
      let behind = 0
      const readAll = async (parity: number, pause: () => Promise<unknown>) => {
        for (let number = 0; number < windows; number++) {
          await pause()
          await reader.read(wide.dataShards + parity, number * reader.windowBytes)
          if (parity > 0) behind = Math.max(behind, number)
        }
      }
      const release = Promise.withResolvers<void>()
      const ahead = Array.from({ length: PARITY - 1 }, (_, i) => readAll(i + 1, async () => undefined))
      const late = readAll(0, () => release.promise)
      // Turns of the event loop in which all the others could be done.
      for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate)
      assert.equal(behind, 3)
      release.resolve()
      await Promise.all([...ahead, late])
      assert.equal(passes(), windows)

      const again = Array.from({ length: PARITY - 1 }, (_, i) => readAll(i + 1, async () => undefined))
      for (let isDone = false; !isDone; ) {
        mock.timers.tick(1_000)
        const turn = new Promise<boolean>((resolve) => setImmediate(resolve, false))
        isDone = await Promise.race([Promise.all(again).then(() => true), turn])
      }
    } finally {
      mock.timers.reset()
    }
  })

  it('error: a source that fails fails the read, and the next one may succeed', async () => {
    let isBroken = true
    const source = bytesSource(bytes)
    const { reader } = open({
      byteLength: source.byteLength,
      read: async (offset, length) => {
        if (isBroken) throw new Error('gone')
        return source.read(offset, length)
      },
    })
    await assert.rejects(reader.read(layout.dataShards, 0), /gone/)
    isBroken = false
    const got = await reader.read(layout.dataShards, 0)
    assert.ok(Buffer.from(got).equals(at(shards, layout.dataShards).subarray(0, WINDOW)))
  })
})
