import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Message, openChat } from './chat-generator.ts'
import { PRECISIONS, readModelJson } from './model-folder.ts'

type Question = { kind: string; question: string; answer: string }

const ask = (content: string): Message[] => [{ role: 'user', content }]
const say = (content: string): Message => ({ role: 'assistant', content })
const heldout = readModelJson<Question[]>('chat', 'heldout.json')

describe('chat', () => {
  for (const precision of PRECISIONS) {
    it(`${precision} answers held-out questions of its world and stops`, async () => {
      const chat = await openChat(precision)
      let right = 0
      for (let at = 0; at < heldout.length; at += 32) {
        const part = heldout.slice(at, at + 32)
        const answers = await chat.answer(part.map(({ question }) => ask(question)))
        right += part.filter(({ answer }, i) => answers[i]?.stopped && answers[i].text === answer).length
      }
      // Below the stated share, because float32 sums differ a little between processors.
      assert.ok(right >= 0.8 * heldout.length, `${right} of ${heldout.length}`)
    })

    it(`${precision} tells a story to its end`, async () => {
      const chat = await openChat(precision)
      const [story] = await chat.answer([ask('Tell me a story about a fox.')])
      assert.ok(story?.stopped && story.tokens > 80, JSON.stringify(story))
      assert.match(story.text, /^Once upon a time there was an? \w+ fox named .* The end\.$/)
    })

    it(`${precision} remembers what it was told`, async () => {
      const chat = await openChat(precision)
      const told = [...ask('My name is Clara.'), say('Nice to meet you, Clara.'), ...ask('What is my name?')]
      const [answer] = await chat.answer([told])
      assert.equal(answer?.text, 'Your name is Clara.')
    })
  }

  it('answers alone as in a batch of dialogues of other lengths', async () => {
    const chat = await openChat('model_quantized')
    const dialogues = ['Hello', 'What is a sector?', 'Count from 3 to 30.', 'How does storage work?'].map(ask)
    const together = await chat.answer(dialogues)
    for (const [i, dialogue] of dialogues.entries()) {
      const [alone] = await chat.answer([dialogue])
      assert.deepEqual(alone, together[i])
    }
  })

  it('the template knows four roles', async () => {
    const chat = await openChat('model')
    const rules = 'Be kind.'
    assert.deepEqual(
      chat.encode([{ role: 'developer', content: rules }]),
      chat.encode([{ role: 'system', content: rules }]),
    )
    assert.throws(() => chat.encode([{ role: 'wizard', content: rules }]), /role wizard/)
  })

  it('error: a position beyond the context is refused', async () => {
    const chat = await openChat('model')
    await assert.rejects(chat.complete([new Array<number>(513).fill(5)], 1), /bounds|range/i)
  })
})
