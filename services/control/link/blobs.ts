import type { KV } from "@nats-io/kv";
import { sha256Hex } from "@sluice/proto/base/digest";
import type { BlobRef } from "@sluice/proto/wire/envelope";
import { BLOB_CHUNK_BYTES, blobKey } from "@sluice/proto/wire/subjects";

/**
 * Puts bytes under their own digest, in chunks. The last chunk is put last, so where it is, all are: putting a blob
 * again costs one look. Where other bytes lie there, all of it is put anew.
 */
export async function putBlob(blobs: KV, bytes: Uint8Array): Promise<BlobRef> {
  const digest = sha256Hex(bytes);
  const chunks = Math.max(1, Math.ceil(bytes.length / BLOB_CHUNK_BYTES));
  const ref: BlobRef = { digest, bytes: bytes.length, chunks };
  const part = (chunk: number) => bytes.subarray(chunk * BLOB_CHUNK_BYTES, (chunk + 1) * BLOB_CHUNK_BYTES);
  const last = await blobs.get(blobKey(digest, chunks - 1));
  if (last?.operation === "PUT" && Buffer.compare(last.value, part(chunks - 1)) === 0) return ref;
  for (let chunk = 0; chunk < chunks; chunk += 1) await blobs.put(blobKey(digest, chunk), part(chunk));
  return ref;
}
