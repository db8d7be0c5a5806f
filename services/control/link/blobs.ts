import type { KV } from "@nats-io/kv";
import { sha256Hex } from "@sluice/proto/base/digest";
import type { BlobRef } from "@sluice/proto/wire/envelope";
import { BLOB_CHUNK_BYTES, blobKey } from "@sluice/proto/wire/subjects";

/**
 * Puts bytes under their own digest, in chunks. The last chunk is put last, so where it is, all are: putting a blob
 * again costs one look.
 */
export async function putBlob(blobs: KV, bytes: Uint8Array): Promise<BlobRef> {
  const digest = sha256Hex(bytes);
  const chunks = Math.max(1, Math.ceil(bytes.length / BLOB_CHUNK_BYTES));
  const ref: BlobRef = { digest, bytes: bytes.length, chunks };
  const last = await blobs.get(blobKey(digest, chunks - 1));
  if (last?.operation === "PUT") return ref;
  for (let chunk = 0; chunk < chunks; chunk += 1) {
    const from = chunk * BLOB_CHUNK_BYTES;
    await blobs.put(blobKey(digest, chunk), bytes.subarray(from, from + BLOB_CHUNK_BYTES));
  }
  return ref;
}
