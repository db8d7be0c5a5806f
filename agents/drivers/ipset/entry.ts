/** One entry as `ipset add NAME …` takes it and `ipset list` prints it: an element, then options, a comment last. */

/** `192.0.2.1 timeout 600 comment "x"` → `192.0.2.1`: what `del` takes. */
export function elementOf(entry: string): string {
  const end = entry.indexOf(" ");
  return end === -1 ? entry : entry.slice(0, end);
}

/** Seconds left, 0 for one that stays, undefined where it isn't said. */
export function timeoutOf(entry: string): number | undefined {
  const seconds = / timeout (\d+)/.exec(beforeComment(entry))?.[1];
  return seconds === undefined ? undefined : Number(seconds);
}

/** Packets and bytes count on; they are no part of what is wanted. */
export function withoutCounters(entry: string): string {
  const head = beforeComment(entry);
  return head.replace(/ packets \d+ bytes \d+/, "") + entry.slice(head.length);
}

function beforeComment(entry: string): string {
  const comment = entry.indexOf(' comment "');
  return comment === -1 ? entry : entry.slice(0, comment);
}
