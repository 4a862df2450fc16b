import { formatEther } from 'ethers'

/** Wei as a readable amount with its unit: `0.0213 0G`. */
export function formatWei(amountWei: bigint, symbol = '0G'): string {
  if (amountWei === 0n) return `0 ${symbol}`
  if (amountWei > -1_000_000_000n && amountWei < 1_000_000_000n) return `${amountWei} wei`
  const [whole = '0', part = ''] = formatEther(amountWei).split('.')
  const digits = part.search(/[1-9]/)
  const shown = part
    .slice(0, whole === '0' || whole === '-0' ? Math.max(4, digits + 4) : 4)
    .replace(/0+$/, '')
  return `${whole}${shown === '' ? '' : `.${shown}`} ${symbol}`
}

/** Like {@link formatWei}, but never less than it is: for an amount that somebody has to send. */
export function formatWeiUp(amountWei: bigint, symbol = '0G'): string {
  const step = 10n ** 14n
  return formatWei(((amountWei + step - 1n) / step) * step, symbol)
}

/** Bytes with a decimal unit: `1.05 MB`. */
export function formatBytes(bytes: number | bigint): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let value = Number(bytes)
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toFixed(2)} ${units[unit]}`
}

/** Seconds as `1 d 2 h`, the two greatest units. */
export function formatSeconds(seconds: number): string {
  const parts: [number, string][] = [
    [86_400, 'd'],
    [3600, 'h'],
    [60, 'min'],
    [1, 's'],
  ]
  let rest = Math.max(0, Math.round(seconds))
  const shown: string[] = []
  for (const [size, unit] of parts) {
    const count = Math.floor(rest / size)
    rest -= count * size
    if (count > 0) shown.push(`${count} ${unit}`)
  }
  return shown.slice(0, 2).join(' ') || '0 s'
}

/** The first and last digits of an address or hash. */
export function shortHex(hex: string): string {
  return hex.length <= 14 ? hex : `${hex.slice(0, 8)}…${hex.slice(-4)}`
}

/** Rows as columns of equal width. */
export function formatTable(header: string[], rows: string[][]): string[] {
  const widths = header.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  )
  const line = (cells: string[]) =>
    cells
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  return [line(header), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)]
}
