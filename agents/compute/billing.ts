import type { Wallet } from 'ethers'
import { responseText } from '../../sdk/protocol/response-text.ts'
import type { ListedService } from './accounts.ts'
import type { FreeUse } from './free-book.ts'
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
  /** What is set aside for it of a free quota. */
  readonly free?: FreeUse | undefined
}

/** Units of a request: tokens or rows. */
export type Units = { readonly inputUnits: number; readonly outputUnits: number }

/** What it came to. */
export type BilledResponse = Units & { readonly responseSha256: string }

/** Signs the response and writes its receipt; resolves once that is on disk. */
export type Billing = (request: BilledRequest, response: BilledResponse) => Promise<BookedReceipt>

/** The fee of so many units, in wei. */
export function feeWei(
  { inputPriceWei, outputPriceWei }: Pick<ListedService, 'inputPriceWei' | 'outputPriceWei'>,
  { inputUnits, outputUnits }: Units,
): bigint {
  return BigInt(inputUnits) * inputPriceWei + BigInt(outputUnits) * outputPriceWei
}

/** What is left to pay of so many units when `freeUnits` of them are free: input first, as it comes first. */
export function paidUnits({ inputUnits, outputUnits }: Units, freeUnits: number): Units {
  const freeInput = Math.min(freeUnits, inputUnits)
  const freeOutput = Math.min(freeUnits - freeInput, outputUnits)
  return { inputUnits: inputUnits - freeInput, outputUnits: outputUnits - freeOutput }
}

export function createBilling({ receipts, wallet }: { receipts: ReceiptBook; wallet: Wallet }): Billing {
  return ({ caller, chatId, model, service, requestSha256, free }, response) => {
    const { responseSha256, inputUnits, outputUnits } = response
    const freeUnits = Math.min(free?.units ?? 0, inputUnits + outputUnits)
    return receipts.add(
      {
        ...{ chatId, model, requestSha256, responseSha256, inputUnits, outputUnits },
        user: caller.user,
        feeWei: feeWei(service, paidUnits(response, freeUnits)),
        priceEpoch: service.priceEpoch,
        signature: wallet.signMessageSync(responseText({ requestSha256, responseSha256 })),
        signer: wallet.address,
        free: free && freeUnits > 0 ? { ...free, units: freeUnits } : undefined,
      },
      caller.account.nonce,
    )
  }
}
