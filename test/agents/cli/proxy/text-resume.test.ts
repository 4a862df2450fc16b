import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createTextResume } from '../../../../agents/cli/proxy/text-resume.ts'

describe('createTextResume', () => {
  it('default: the same text in other pieces is read once', () => {
    const cut = (text: string, sizes: readonly number[]) => {
      const parts: string[] = []
      let at = 0
      for (const size of sizes) {
        parts.push(text.slice(at, at + size))
        at += size
      }
      return [...parts, text.slice(at)]
    }
    const sizes = fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 12 })
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), sizes, sizes, fc.nat(), (text, first, second, where) => {
        const resume = createTextResume()
        const before = cut(text, first)
        const broken = before.slice(0, where % (before.length + 1))
        let read = broken.map((part) => resume.take(part)).join('')
        resume.restart()
        read += cut(text, second)
          .map((part) => resume.take(part))
          .join('')
        resume.end()
        assert.equal(read, text)
      }),
    )
  })

  it('error: another text, or one that ends before it', () => {
    const resume = createTextResume()
    resume.take('Once upon')
    resume.restart()
    assert.equal(resume.take('Once'), '')
    assert.throws(() => resume.end(), { code: 'INFERENCE_CUT' })
    assert.throws(() => resume.take(' again'), { code: 'INFERENCE_CUT' })
    const other = createTextResume()
    other.take('ab')
    other.restart()
    assert.throws(() => other.take('ax'), { code: 'INFERENCE_CUT' })
  })

  it('behavior: broken twice', () => {
    const resume = createTextResume()
    assert.equal(resume.take('abcd'), 'abcd')
    resume.restart()
    assert.equal(resume.take('ab'), '')
    resume.restart()
    assert.equal(resume.take('abcdef'), 'ef')
    resume.end()
  })
})
