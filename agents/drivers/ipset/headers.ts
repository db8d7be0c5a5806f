import { createFeed } from "../../exec/child.ts";
import type { Namespace } from "../../exec/namespace.ts";

/**
 * The headers of all sets with their numbers of entries, as `ipset list -t` prints them, ours and foreign.
 *
 * They are asked for every few seconds, for ever, of an `ipset` that stays. To start one each time costs this process
 * far more than the command itself: its memory is marked for copying at every fork, and a long list has much of it.
 */
export interface SetHeaders {
  /** Undefined where they can't be read. */
  read(): Promise<string | undefined>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 10_000;
const VERSION = /^(?:ipset> )*ipset v\S+, protocol version/;

/** Its stdout is a pipe: without `stdbuf` it would keep the last lines to itself. `version` is asked for as the mark. */
export function createSetHeaders(at: Namespace): SetHeaders {
  const feed = createFeed(at, {
    command: "stdbuf",
    args: ["-oL", "ipset", "-"],
    mark: () => "version\n",
    isMark: (line) => VERSION.test(line),
    refusesBy: "stderr",
    timeoutMs: TIMEOUT_MS,
  });
  return {
    async read() {
      const listed = await feed.send("list -t").catch(() => undefined);
      if (listed?.ok) return listed.lines.join("\n");
      // after an error what it lists isn't to be relied on
      await feed.retire();
      return undefined;
    },
    close: feed.retire,
  };
}
