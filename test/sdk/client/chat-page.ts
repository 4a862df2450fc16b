// What a page of inference.test.ts runs: the example of the documentation, in a browser, against a real chain and a real provider.
import { chat } from '../../../sdk/examples/chat.ts'
import { errorCode, webStateStore } from '../../../sdk/index.ts'

type Task = Pick<Parameters<typeof chat>[0], 'rpcUrl' | 'addressBook' | 'privateKey' | 'model' | 'prompt'>

/** What the functions return must survive JSON. */
const page = {
  async chat(task: Task) {
    const shown: string[] = []
    const stateStore = webStateStore(localStorage)
    const show = (text: string) => void shown.push(text)
    try {
      const { text, feeWei } = await chat({ ...task, limitWei: 10n ** 17n, stateStore, show })
      return { text, shown: shown.join(''), feeWei: String(feeWei), records: localStorage.length }
    } catch (error) {
      return { text: errorCode(error), shown: String(error), feeWei: '0', records: localStorage.length }
    }
  },
}

export type ChatPage = typeof page

Object.assign(globalThis, { page })
