import type { Wallet } from 'ethers'
import { responseText } from '../../sdk/protocol/response-text.ts'
import type { ListedService } from './accounts.ts'
import type { BookedReceipt, ReceiptBook } from './receipt-book.ts'
import type { Caller } from './session-check.ts'

/** A request that was let in, with the prices that hold for it. */
export type BilledRequest = {
  readonly caller: Caller
  readonly chatId: string
  readonly model: string
  readonly service: ListedService
  /** SHA-256 of the body as received, in hex. */
  readonly requestSha256: string
}

/** What it came to. */
export type BilledResponse = {
  readonly responseSha256: string
  readonly inputUnits: number
  readonly outputUnits: number
}

/** Signs the response and writes its receipt; resolves once that is on disk. */
export type Billing = (request: BilledRequest, response: BilledResponse) => Promise<BookedReceipt>

/** The fee of so many units, in wei. */
export function feeWei(
  { inputPriceWei, outputPriceWei }: Pick<ListedService, 'inputPriceWei' | 'outputPriceWei'>,
  { inputUnits, outputUnits }: { inputUnits: number; outputUnits: number },
): bigint {
  return BigInt(inputUnits) * inputPriceWei + BigInt(outputUnits) * outputPriceWei
}

export function createBilling({ receipts, wallet }: { receipts: ReceiptBook; wallet: Wallet }): Billing {
  return ({ caller, chatId, model, service, requestSha256 }, { responseSha256, inputUnits, outputUnits }) =>
    receipts.add(
      {
        ...{ chatId, model, requestSha256, responseSha256, inputUnits, outputUnits },
        user: caller.user,
        feeWei: feeWei(service, { inputUnits, outputUnits }),
        priceEpoch: service.priceEpoch,
        signature: wallet.signMessageSync(responseText({ requestSha256, responseSha256 })),
        signer: wallet.address,
      },
      caller.account.nonce,
    )
}
