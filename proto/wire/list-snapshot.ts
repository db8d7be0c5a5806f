import { createKey, writeKey } from "./address-text.ts";
import { asDigest, createDigestSum } from "./list-digest.ts";
import { ListEntries } from "./list-entries.ts";
import type { ListState } from "./list-state.ts";

const CHUNK_BYTES = 64 * 1024;
const LINE_MAX = 96;
const NEWLINE = 10;
const SPACE = 32;

/** A snapshot's lines, `entry[ until]` each, in chunks. In the order of the tables, which is as good as any. */
export function* snapshotChunks(entries: ListEntries): Generator<Buffer> {
  const key = createKey();
  let chunk = Buffer.allocUnsafe(CHUNK_BYTES);
  let end = 0;
  for (const table of [entries.table(4), entries.table(6)]) {
    for (let slot = table.next(-1); slot !== -1; slot = table.next(slot)) {
      table.read(slot, key);
      end = writeKey(table.family, key, chunk, end);
      const untilMs = table.untilMs(slot);
      if (untilMs > 0) end += chunk.write(` ${new Date(untilMs).toISOString()}`, end, "latin1");
      chunk[end++] = NEWLINE;
      if (end + LINE_MAX <= CHUNK_BYTES) continue;
      yield chunk.subarray(0, end);
      chunk = Buffer.allocUnsafe(CHUNK_BYTES);
      end = 0;
    }
  }
  if (end > 0) yield chunk.subarray(0, end);
}

export interface SnapshotReader {
  /** the next bytes, cut anywhere */
  heard(bytes: Uint8Array): void;
  /** The list, if it was read whole and its digest is the one promised. */
  end(rev: number, digest: string): ListState | undefined;
}

/**
 * Reads a snapshot as it comes, without a string for any of its lines. `trusted`: its digest was found right before (it
 * lies in a file of ours, whose bytes are proven otherwise), so it needn't be summed up again.
 */
export function createSnapshotReader(options: { trusted?: boolean } = {}): SnapshotReader {
  const entries = new ListEntries();
  const sum = createDigestSum();
  let rest: Buffer = Buffer.alloc(0);
  let isWhole = true;

  function line(bytes: Buffer, from: number, to: number): void {
    if (to === from) return;
    const space = bytes.indexOf(SPACE, from);
    const end = space === -1 || space >= to ? to : space;
    const until = end === to ? undefined : bytes.toString("latin1", end + 1, to);
    if (!entries.setBytes(bytes, end - from, until, from)) isWhole = false;
    else if (!options.trusted) sum.add(bytes.subarray(from, to));
  }

  return {
    heard(more) {
      const bytes =
        rest.length === 0
          ? Buffer.from(more.buffer, more.byteOffset, more.length)
          : Buffer.concat([rest, more]);
      let from = 0;
      for (let to = bytes.indexOf(NEWLINE); to !== -1; to = bytes.indexOf(NEWLINE, from)) {
        line(bytes, from, to);
        from = to + 1;
      }
      rest = Buffer.from(bytes.subarray(from));
    },
    end(rev, digest) {
      line(rest, 0, rest.length);
      const isRight = options.trusted || asDigest(sum.value()) === digest;
      return isWhole && isRight ? { rev, digest, entries } : undefined;
    },
  };
}
