// What the public compute SDK and the openai client do at two providers, chat and embeddings, without one address argument
// of a contract; JSON on the last line. The user has coins and nothing else; the chain's clock is moved past the lock.
// Usage: node public-compute.mjs RPC_URL PRIVATE_KEY CHAT_PROVIDER EMBEDDING_PROVIDER LOCK_SEC
import { createRequire } from 'node:module'
import { setTimeout as delay } from 'node:timers/promises'
import { formatEther, JsonRpcProvider, parseEther, Wallet } from 'ethers'
import OpenAI from 'openai'

const { createZGComputeNetworkBroker } = createRequire(import.meta.url)('@0gfoundation/0g-compute-ts-sdk')

const [url, key, chat, embedding, lockSec] = process.argv.slice(2)
const rpc = new JsonRpcProvider(url, undefined, { cacheTimeout: -1 })
const user = new Wallet(key, rpc)
const { inference, ledger } = await createZGComputeNetworkBroker(user)
const answer = {}

// Finds, pays in, trusts.
const services = await inference.listService()
answer.services = services.map((one) => ({ provider: one.provider, acknowledged: one.teeSignerAcknowledged }))
await ledger.addLedger(3)
await ledger.depositFund(3)
await ledger.transferFund(chat, 'inference', parseEther('1'))
await inference.acknowledgeProviderSigner(chat)
answer.acknowledged = await inference.acknowledged(chat)
answer.metadata = await inference.getServiceMetadata(chat)
const funded = await ledger.getLedger()
answer.fundedWei = [funded.availableBalance, funded.totalBalance].map(String)

// Asks with signed headers, plain and streaming, and has the answers verified.
const { endpoint, model } = answer.metadata
const question = {
  model,
  messages: [{ role: 'user', content: 'Tell me a story about a fox.' }],
  temperature: 0,
}
const bare = new OpenAI({ baseURL: endpoint, apiKey: 'none', maxRetries: 0 })
{
  const headers = await inference.getRequestHeaders(chat, question.messages[0].content)
  answer.headers = Object.keys(headers)
  const { data, response } = await bare.chat.completions.create(question, { headers }).withResponse()
  const id = response.headers.get('ZG-Res-Key')
  answer.plain = {
    text: data.choices[0].message.content,
    usage: data.usage,
    verified: await inference.processResponse(chat, id, JSON.stringify(data.usage)),
  }
}
{
  const headers = await inference.getRequestHeaders(chat)
  const wish = { ...question, stream: true, stream_options: { include_usage: true } }
  const { data, response } = await bare.chat.completions.create(wish, { headers }).withResponse()
  let text = ''
  let usage
  for await (const chunk of data) {
    text += chunk.choices[0]?.delta.content ?? ''
    usage = chunk.usage ?? usage
  }
  const id = response.headers.get('ZG-Res-Key')
  const verified = await inference.processResponse(chat, id, JSON.stringify(usage))
  answer.streamed = { text, usage, verified }
}
answer.unknownId = await codeOf(inference.processResponse(chat, 'no-such-answer'))

// A key for other tools, with no other header; then it is revoked.
const apiKey = await inference.requestProcessor.createApiKey(chat, { tokenId: 7 })
const client = new OpenAI({ baseURL: endpoint, apiKey: apiKey.rawToken, maxRetries: 0 })
answer.apiKey = apiKey.rawToken
answer.models = (await client.models.list()).data.map(({ id }) => id)
answer.model = (await client.models.retrieve(model)).id
const prompt = { model, prompt: 'Once upon a time', temperature: 0, max_tokens: 12 }
const completion = await client.completions.create(prompt)
answer.completion = { text: completion.choices[0].text, usage: completion.usage }
let streamedCompletion = ''
for await (const chunk of await client.completions.create({ ...prompt, stream: true }))
  streamedCompletion += chunk.choices[0]?.text ?? ''
answer.streamedCompletion = streamedCompletion
answer.errors = {
  model: await errorOf(client.chat.completions.create({ ...question, model: 'gpt-9' })),
  body: await errorOf(client.chat.completions.create({ ...question, max_tokens: -1 })),
  stream: await errorOf(client.chat.completions.create({ ...question, messages: [], stream: true })),
  route: await errorOf(client.embeddings.create({ model, input: 'a boat' })),
  missing: await errorOf(client.models.retrieve('gpt-9')),
  key: await errorOf(
    new OpenAI({ baseURL: endpoint, apiKey: 'sk-other', maxRetries: 0 }).completions.create(prompt),
  ),
}
await inference.revokeApiKey(chat, 7)
answer.revoked = await errorOf(client.completions.create(prompt))

// Embeddings, of another provider.
await ledger.transferFund(embedding, 'inference', parseEther('1'))
const embedded = await inference.getServiceMetadata(embedding)
const embedder = new OpenAI({
  baseURL: embedded.endpoint,
  apiKey: (await inference.requestProcessor.createApiKey(embedding, { tokenId: 0 })).rawToken,
  maxRetries: 0,
})
const input = ['a boat on the sea', 'a ship on the ocean', 'a plate of soup']
const vectors = (await embedder.embeddings.create({ model: embedded.model, input })).data
answer.embedding = { sizes: vectors.map((one) => one.embedding.length) }
const [boat, ship, soup] = vectors.map((one) => one.embedding)
answer.embedding.near = cosine(boat, ship)
answer.embedding.far = cosine(boat, soup)

// Takes its money back: what was served is settled first, what was asked back waits for the lock.
for (const provider of [chat, embedding])
  await until(`${provider} settles`, async () => (await unsettledFee(provider)) === '0')
await ledger.retrieveFund('inference')
answer.askedWei = await Promise.all(
  [chat, embedding].map(async (provider) => String((await inference.getAccount(provider)).pendingRefund)),
)
const early = await ledger.getLedger()
await ledger.retrieveFund('inference')
answer.earlyWei = String((await ledger.getLedger()).availableBalance - early.availableBalance)
await rpc.send('evm_increaseTime', [Number(lockSec) + 1])
await rpc.send('evm_mine', [])
await ledger.retrieveFund('inference')
const { availableBalance } = await ledger.getLedger()
answer.availableWei = String(availableBalance)
// Fees belong to the ledger until nobody can demand their receipts any more.
await until(
  'held fees are released',
  async () => (await ledger.getLedger()).totalBalance === availableBalance,
)
await ledger.refund(Number(formatEther(availableBalance)))
answer.gone = await codeOf(ledger.getLedger())
process.stdout.write(`\n${JSON.stringify(answer)}\n`)
process.exit(0)

async function unsettledFee(provider) {
  const service = services.find((one) => one.provider === provider)
  const headers = await inference.requestProcessor.getHeader(provider)
  const response = await fetch(`${service.url}/v1/user/${user.address}/unsettledfee`, { headers })
  return (await response.json()).unsettledFee
}

async function until(what, check) {
  for (const giveUpAt = Date.now() + 120_000; Date.now() < giveUpAt; ) {
    if (await check()) return
    await delay(100)
  }
  throw new Error(`timed out waiting until ${what}`)
}

async function codeOf(promise) {
  return promise.then(
    (value) => `no error: ${value}`,
    (error) => error.message,
  )
}

async function errorOf(promise) {
  return promise.then(
    () => ({ name: 'no error' }),
    (error) => {
      const { status, code, type } = error
      return { name: error.constructor.name, status, code, type }
    },
  )
}

function cosine(left, right) {
  const dot = (a, b) => a.reduce((sum, value, index) => sum + value * b[index], 0)
  return dot(left, right) / Math.sqrt(dot(left, left) * dot(right, right))
}
