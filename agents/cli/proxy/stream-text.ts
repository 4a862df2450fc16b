import type { FastifyReply } from 'fastify'
import { z } from 'zod'
import type { TextResult, TextStream } from '../../../sdk/client/inference.ts'
import { createEventStream, DONE, eventText } from '../../compute/event-stream.ts'
import { asComputeError, openAiError } from '../../compute/openai-error.ts'
import { createTextResume } from './text-resume.ts'

/** What is looked at of a chunk in OpenAI's form, chat or text. */
const chunkSchema = z.looseObject({
  id: z.string().optional(),
  choices: z
    .array(
      z.looseObject({
        text: z.string().optional(),
        delta: z.looseObject({ content: z.string().nullish() }).optional(),
        finish_reason: z.string().nullish(),
      }),
    )
    .default([]),
})

export declare namespace streamText {
  type Options = {
    reply: FastifyReply
    stream: TextStream
    signal: AbortSignal
    /** Called for each provider that broke off after it had begun. */
    onBreak: () => void
  }
}

/**
 * Passes a stream on as server-sent events. The end of an answer (its finish reason, its usage, `[DONE]`) leaves only once the
 * whole is verified; what fails after the first byte is an error event. Throws before the first byte only.
 */
export async function streamText({
  reply,
  stream,
  signal,
  onBreak,
}: streamText.Options): Promise<TextResult | undefined> {
  const events = createEventStream(reply, signal)
  const resume = createTextResume()
  const held: object[] = []
  let id: string | undefined
  let isBroken = false
  try {
    for await (const piece of stream) {
      if (piece.type === 'start') isBroken = true
      if (piece.type === 'restart') {
        onBreak()
        isBroken = false
        resume.restart()
        held.length = 0
      }
      if (piece.type !== 'text') continue
      const chunk = chunkSchema.parse(piece.chunk)
      const [choice] = chunk.choices
      id ??= chunk.id
      const named = id === undefined ? chunk : { ...chunk, id }
      // The usage, which the client has asked for.
      if (choice === undefined) {
        held.push(named)
        continue
      }
      const fresh = piece.text === '' ? '' : resume.take(piece.text)
      const shown = { ...named, choices: [withText(choice, fresh)] }
      if (choice.finish_reason) held.push(shown)
      // Of one that began anew, the opening has been sent already.
      else if (fresh !== '' || !events.isBegun()) await events.send(shown)
    }
    resume.end()
    const result = await stream.result
    isBroken = false
    for (const chunk of held) await events.send(chunk)
    events.end(DONE)
    return result
  } catch (error) {
    stream.cancel()
    // Whatever the error says: the provider had begun, and may bill.
    if (isBroken) onBreak()
    if (!events.isBegun()) throw error
    events.end(eventText(openAiError(asComputeError(error))))
    return undefined
  }
}

type Choice = z.output<typeof chunkSchema>['choices'][number]

function withText(choice: Choice, text: string): Choice {
  if (choice.delta !== undefined && typeof choice.delta.content === 'string')
    return { ...choice, delta: { ...choice.delta, content: text } }
  return choice.text === undefined ? choice : { ...choice, text }
}
