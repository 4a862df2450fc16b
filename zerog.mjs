#!/usr/bin/env node
// The `zerog` command: makes the checkout ready, then hands over to the compiled CLI in the caller's folder.
process.argv.splice(2, 0, 'cli')
await import('./scripts/run.mjs')
