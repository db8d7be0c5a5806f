import type { Msg, NatsConnection } from "@nats-io/transport-node";
import { sha256Hex } from "@sluice/proto/base/digest";
import { SluiceError } from "@sluice/proto/base/errors";
import type { BlobRef } from "@sluice/proto/wire/envelope";
import { BUCKETS, blobKey, directGetSubject } from "@sluice/proto/wire/subjects";

const TIMEOUT_MS = 5_000;
const NOT_FOUND = 404;

/** The newest value of one key, by direct get: an agent has no other right on a bucket. Undefined: not there. */
export async function directGet(
  connection: NatsConnection,
  bucket: string,
  key: string,
): Promise<Uint8Array | undefined> {
  const message = await connection.request(directGetSubject(bucket, key), "", { timeout: TIMEOUT_MS });
  if (message.headers?.code === NOT_FOUND || wasDeleted(message)) return undefined;
  return message.data;
}

/** Fetches a blob's chunks in order. Throws where one is missing or the digest isn't the promised one. */
export async function fetchBlob(connection: NatsConnection, ref: BlobRef): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for (let chunk = 0; chunk < ref.chunks; chunk += 1) {
    const bytes = await directGet(connection, BUCKETS.blobs, blobKey(ref.digest, chunk));
    if (bytes === undefined) {
      throw new SluiceError("UNAVAILABLE", `chunk ${chunk} of blob ${ref.digest} is missing`);
    }
    chunks.push(bytes);
  }
  const blob = Buffer.concat(chunks);
  if (blob.length !== ref.bytes || sha256Hex(blob) !== ref.digest) {
    throw new SluiceError("REFUSED", `blob ${ref.digest} doesn't match its digest`);
  }
  return blob;
}

function wasDeleted(message: Msg): boolean {
  const operation = message.headers?.get("KV-Operation");
  return operation === "DEL" || operation === "PURGE";
}
