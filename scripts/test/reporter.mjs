/** A node:test reporter: one JSON line per finished test (suites left out), read by the runner to count. */
export default async function* reporter(source) {
  for await (const { type, data } of source) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    if (data.details?.type === 'suite' && type === 'test:pass') continue
    const skipped = (data.skip ?? false) !== false || (data.todo ?? false) !== false
    const suite = data.details?.type === 'suite'
    // A suite fails with its tests; by itself it counts only when a hook broke it.
    const cause = data.details?.error?.failureType
    if (suite && cause === 'subtestsFailed') continue
    const status = skipped ? 'skipped' : type === 'test:pass' ? 'passed' : 'failed'
    yield `${JSON.stringify({ name: data.name, status })}\n`
  }
}
