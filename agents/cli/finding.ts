/** What one examination found. `mend` says what to do about it. */
export type Finding = { check: string; state: 'ok' | 'warn' | 'fail'; found: string; mend?: string }

export function ok(check: string, found: string): Finding {
  return { check, state: 'ok', found }
}

export function warn(check: string, found: string, mend: string): Finding {
  return { check, state: 'warn', found, mend }
}

export function fail(check: string, found: string, mend: string): Finding {
  return { check, state: 'fail', found, mend }
}

/** A finding as lines for people. */
export function findingLines({ check, state, found, mend }: Finding): string[] {
  const mark = { ok: 'ok  ', warn: 'warn', fail: 'FAIL' }[state]
  return [
    `${mark}  ${check.padEnd(10)} ${found}`,
    ...(mend === undefined ? [] : [`      ${''.padEnd(10)} -> ${mend}`]),
  ]
}
