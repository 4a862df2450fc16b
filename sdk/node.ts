/** What the SDK adds on Node.js: files on disk, worker threads, address books from disk. */
export { loadAddressBook } from './chain/address-book-node.ts'
export { createPathSink } from './client/file-sink-node.ts'
export { openPathSource, type PathSource } from './client/file-source-node.ts'
export { nodeTransport } from './client/http-node.ts'
export { createNodeKzg, loadNodeKzg } from './client/kzg-node.ts'
export { type PulledFile, pullModelFolder } from './client/model-folder-node.ts'
export { downloadPath, uploadPath } from './client/paths-node.ts'
export { createHashPool } from './client/prepare-pool-node.ts'
export {
  type PublishedFolder,
  type PublishModelProgress,
  publishModelFolder,
} from './client/publish-model-node.ts'
export { folderStateStore } from './client/state-store-node.ts'
