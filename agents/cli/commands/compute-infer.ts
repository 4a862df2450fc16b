import { Command } from 'commander'
import type { Tensor } from '../../../sdk/protocol/tensor.ts'
import { answerFields, answerLines } from '../answer-lines.ts'
import { bestOffer } from '../best-offer.ts'
import { readGraphInputs } from '../graph-inputs.ts'
import {
  addInferenceOptions,
  type InferenceChoice,
  type InferenceSession,
  withInference,
} from '../inference-session.ts'
import type { Output } from '../output.ts'
import { readTensorFile } from '../tensor-file.ts'

type InferOptions = InferenceChoice & { input?: string }

const SHOWN_VALUES = 8

const HELP = `
FILE is one of: .npy; .png, .pgm or .ppm (fitted to the model's size; 0 to 1 where it takes floats); .json with a nested list,
or {"dims", "data", "type"}, or {"inputs": {NAME: {"dims", "data", "type"}}} for models with several inputs.`

/** `zerog compute infer FILE`: tensors through a model, verified. */
export function inferCommand(): Command {
  const command = new Command('infer')
    .description('run a model on a tensor or image from a file, verified')
    .argument('<file>', '.npy, .json, .png, .pgm or .ppm')
  return addInferenceOptions(command)
    .option('--input <name>', "name of the model's input; needed where it has several")
    .addHelpText('after', HELP)
    .action(
      withInference((session, output, [file]: [string], options: InferOptions) =>
        infer(session, output, file, options),
      ),
    )
}

async function infer(
  { inference, signal }: InferenceSession,
  output: Output,
  file: string,
  options: InferOptions,
): Promise<void> {
  const offer = await bestOffer(inference, { kind: 'tensor', choice: options, signal })
  const specs = await readGraphInputs(offer, signal)
  const inputs = await readTensorFile(file, { specs, input: options.input })
  const { provider, gateToken: gateTokenId } = options
  const result = await inference.infer({ model: offer.model, inputs }, { signal, provider, gateTokenId })
  const outputs = Object.fromEntries(
    Object.entries(result.outputs).map(([name, { type, dims, data }]) => [
      name,
      { type, dims, data: Array.from(data as ArrayLike<number | bigint>) },
    ]),
  )
  output.result({ file, outputs, ...answerFields(result) }, [
    ...Object.entries(result.outputs).flatMap(([name, tensor]) => tensorLines(name, tensor)),
  ])
  for (const line of answerLines(result)) output.note(line)
}

/** A tensor for people: of each row the greatest value and where it stands, and the first values. */
function tensorLines(name: string, { type, dims, data }: Tensor): string[] {
  const rows = dims.length > 1 ? (dims[0] ?? 1) : 1
  const width = data.length / Math.max(1, rows)
  const values = Array.from(data as ArrayLike<number | bigint>, Number)
  return [
    `${name} ${type} [${dims.join(', ')}]`,
    ...Array.from({ length: rows }, (_, row) => {
      const own = values.slice(row * width, (row + 1) * width)
      const best = own.reduce((most, value, i) => (value > (own[most] ?? value) ? i : most), 0)
      const first = own.slice(0, SHOWN_VALUES).map((value) => value.toPrecision(5))
      return `  row ${row}: greatest at ${best} (${own[best]?.toPrecision(5)}); ${first.join(' ')}${own.length > SHOWN_VALUES ? ' …' : ''}`
    }),
  ]
}
