import { setTimeout as delay } from "node:timers/promises";
import type { TestServer } from "./server.ts";

/** What a vandal does to `firewall()`: flushes, deletes, swaps, lets in, reorders. */
const ACTS = [
  "iptables -F SL-web-ssh",
  "iptables -F SL-INPUT",
  "ip6tables -F SL-INPUT",
  "iptables -D INPUT -j SL-INPUT",
  "iptables -I SL-INPUT -j ACCEPT",
  "iptables -A INPUT -j SL-INPUT",
  "ip6tables -I SL-web-ssh -j ACCEPT",
  "iptables -N SL-stray",
  "iptables -F",
  "ipset flush sl-web-office-hn4",
  "ipset add sl-web-office-hn4 203.0.113.66",
  "ipset create t hash:net; ipset swap t sl-web-office-hn4; ipset destroy t",
  "ipset flush sl-protect-4",
  "tc qdisc del dev eth0 root",
  "tc class del dev eth0 classid 1:10",
  "tc class change dev eth0 parent 1: classid 1:20 htb rate 9mbit",
] as const;

export interface Vandalism {
  acts: number;
  seed: number;
  mostPauseMs: number;
  backend?: "nft" | "legacy";
  onAct?(): void;
}

/** The same acts in the same order for the same seed; some fail where an earlier one isn't mended yet. */
export async function vandalise(
  server: TestServer,
  { acts, seed, mostPauseMs, backend = "nft", onAct }: Vandalism,
): Promise<void> {
  const random = randomFrom(seed);
  for (let act = 0; act < acts; act += 1) {
    const command = ACTS[Math.floor(random() * ACTS.length)];
    await server.sh(`${command?.replace(/^(ip6?tables) /, `$1-${backend} `)} || true`);
    onAct?.();
    await delay(random() * mostPauseMs);
  }
}

/** mulberry32 */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}
