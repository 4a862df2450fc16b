import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { Command } from 'commander'
import { ZerogError } from '../../../sdk/protocol/errors.ts'
import { CHECKOUT } from '../checkout.ts'
import { loadCliConfig } from '../config.ts'
import { formatBytes, formatTable } from '../format.ts'
import { createOutput } from '../output.ts'
import { abortOnSignal, type GlobalOptions } from '../session.ts'

const GRAPHS = ['onnx/model.onnx', 'onnx/model_quantized.onnx']

const HELP = `
Each execution provider is tried with a graph in a process of its own: that of --model, or of the model that .env names, or
of the digits model of the checkout. It needs no chain. Exit code 0 when one works, 1 when none does.`

/** `zerog compute doctor`: what this machine has to run models on, found and measured. */
export function computeDoctorCommand(): Command {
  return new Command('doctor')
    .description('what this machine can run models on: execution providers found and measured')
    .option('--model <path>', 'a graph (.onnx), or the folder of a model, to measure with')
    .addHelpText('after', HELP)
    .action(async (_options: unknown, command: Command) => {
      const options = command.optsWithGlobals() as GlobalOptions & { model?: string }
      const output = createOutput({ json: options.json === true })
      const onnxFile = graphOf(options.model)
      const { signal, release } = abortOnSignal()
      try {
        // The runtime is a native module: only those who measure load it.
        const { examineMachine } = await import('../../compute/examine-machine.ts')
        output.note(`measuring with ${onnxFile}`)
        const found = await examineMachine({ onnxFile, signal })
        const { cpu, cores, memoryBytes, providers, chosen } = found
        output.result({ ...found, onnxFile }, [
          `machine  ${cpu}, ${cores} cores, ${formatBytes(memoryBytes)} of memory`,
          '',
          ...formatTable(
            ['provider', 'load', 'run', 'problem'],
            providers.map(({ name, loadMs, runMs, problem }) => [
              name,
              loadMs === undefined ? '-' : `${loadMs.toFixed(0)} ms`,
              runMs === undefined ? '-' : `${runMs.toFixed(2)} ms`,
              problem?.split('\n')[0] ?? '',
            ]),
          ),
          '',
          chosen === undefined
            ? 'none works: see the problems above'
            : `EXECUTION_PROVIDER=auto takes ${chosen}`,
        ])
        process.exitCode = chosen === undefined ? 1 : 0
      } finally {
        release()
      }
    })
}

/** The graph to measure with. Errors: FILE_MISSING. */
function graphOf(given: string | undefined): string {
  if (given !== undefined) {
    const path = resolve(given)
    const found = path.endsWith('.onnx') && existsSync(path) ? path : graphIn(path)
    if (found !== undefined) return found
    throw new ZerogError('FILE_MISSING', `${given} is neither a graph nor the folder of a model`)
  }
  const { MODEL_DIR, MODEL_FILE, MODEL_ROOT, DATA_DIR = 'data' } = loadCliConfig()
  const folders = [
    ...(MODEL_DIR === undefined ? [] : [MODEL_DIR]),
    ...(MODEL_ROOT === undefined ? [] : [join(DATA_DIR, 'models', MODEL_ROOT.slice(2))]),
    join(CHECKOUT, 'models', 'digits'),
  ]
  for (const folder of folders) {
    const found = graphIn(resolve(folder), MODEL_FILE)
    if (found !== undefined) return found
  }
  throw new ZerogError('FILE_MISSING', 'no model is here to measure with: give --model FILE')
}

function graphIn(folder: string, file?: string): string | undefined {
  const names = file === undefined ? GRAPHS : [file, ...GRAPHS]
  return names.map((name) => join(folder, name)).find((path) => existsSync(path))
}
