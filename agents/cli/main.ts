import { runProgram } from './program.ts'

// `zerog … | head` closes the pipe early: that is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 74))

process.exitCode = await runProgram(process.argv.slice(2))
