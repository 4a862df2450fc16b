import { text as readAll } from 'node:stream/consumers'
import { Command } from 'commander'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { answerFields, answerLines } from '../answer-lines.ts'
import { bestOffer } from '../best-offer.ts'
import {
  addInferenceOptions,
  type InferenceChoice,
  type InferenceSession,
  withInference,
} from '../inference-session.ts'
import type { Output } from '../output.ts'

const HELP = `
Without arguments each line of standard input is a text. Prints a vector a line, as JSON lists, in the order of the texts.`

/** `zerog compute embed TEXT…`: vectors of texts, verified. */
export function embedCommand(): Command {
  const command = new Command('embed')
    .description('vectors of texts by an embedding model, verified')
    .argument('[texts...]', 'texts; the lines of standard input by default')
  return addInferenceOptions(command)
    .addHelpText('after', HELP)
    .action(
      withInference((session, output, [texts]: [string[]], options: InferenceChoice) =>
        embed(session, output, texts, options),
      ),
    )
}

async function embed(
  { inference, signal }: InferenceSession,
  output: Output,
  given: readonly string[],
  options: InferenceChoice,
): Promise<void> {
  const input = given.length > 0 ? given : (await readAll(process.stdin)).split(/\r?\n/)
  const texts = input.filter((text) => text.trim() !== '')
  if (texts.length === 0) throw new ZerogError('BAD_REQUEST', 'there is no text')
  const { model } = await bestOffer(inference, { kind: 'embedding', choice: options, signal })
  const { provider, gateToken: gateTokenId } = options
  const result = await inference.embed({ model, input: texts }, { signal, provider, gateTokenId })
  const vectors = result.vectors.map((vector) => Array.from(vector))
  output.result(
    { texts, vectors, ...answerFields(result) },
    vectors.map((vector) => JSON.stringify(vector)),
  )
  for (const line of answerLines(result)) output.note(line)
}
