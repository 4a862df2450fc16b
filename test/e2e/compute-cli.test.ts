// One world for all: what follows uses what comes before.
import './compute-cli/money.ts'
import './compute-cli/models.ts'
import './compute-cli/proxy.ts'
import './compute-cli/jobs.ts'
import './compute-cli/agent.ts'
