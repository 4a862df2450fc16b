import { connect } from 'node:net'
import { freePort, type RunningProcess, startProcess } from './processes.ts'
import { until } from './until.ts'

/** Starts a `redis-server` without persistence on a loopback port. */
export async function startRedis(
  options: { port?: number } = {},
): Promise<RunningProcess & { port: number; url: string }> {
  const port = options.port ?? (await freePort())
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no']
  const process = startProcess('redis-server', args)
  await until('redis accepts connections', () => accepts(port))
  return { ...process, port, url: `redis://127.0.0.1:${port}` }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
