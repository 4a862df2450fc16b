import { encodeRlp, stripZerosLeft } from 'ethers'

const FIELDS = [
  'parentHash sha3Uncles miner stateRoot transactionsRoot receiptsRoot logsBloom',
  '#difficulty #number #gasLimit #gasUsed #timestamp extraData mixHash nonce',
  '#baseFeePerGas withdrawalsRoot #blobGasUsed #excessBlobGas parentBeaconBlockRoot requestsHash',
].flatMap((line) => line.split(' '))

/** RLP of a Prague block header, from the JSON of eth_getBlockByNumber. */
export function headerRlp(block: Record<string, unknown>): string {
  return encodeRlp(
    FIELDS.map((field) => {
      const value = String(block[field.replace('#', '')])
      return field.startsWith('#')
        ? stripZerosLeft(value.length % 2 === 0 ? value : `0x0${value.slice(2)}`)
        : value
    }),
  )
}
